SELECT wsup.finish(%s::bigint, %s::bigint, %s::integer, %s::real, %s::pg_catalog.text)
