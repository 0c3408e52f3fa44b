SELECT wsup.set_queue(%s::text, %s::boolean, %s::double precision OPERATOR(pg_catalog.*) interval '1 second')
