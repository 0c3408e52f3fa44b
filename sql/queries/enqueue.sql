-- One job. A plain INSERT rather than wsup.enqueue(), whose jsonb refuses the character \u0000.
-- Everything is named in full: the connection may be a caller's, with any search_path.
INSERT INTO wsup.job (run_at, priority, queue, task, args, options, after, after_lax, key, key_limit)
VALUES (coalesce(%s::timestamp with time zone,
                 pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+)
                 pg_catalog.make_interval(secs => %s::double precision)),
        %s::integer, %s, %s, %s::pg_catalog.text::pg_catalog.json, %s::pg_catalog.text::pg_catalog.json,
        %s::bigint[], %s::bigint[], %s, %s)
RETURNING id
