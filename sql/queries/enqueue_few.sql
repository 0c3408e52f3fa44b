-- Some jobs of one task, in one round trip. The rows come back in the order of `args`.
-- Everything is named in full: the connection may be a caller's, with any search_path.
INSERT INTO wsup.job (run_at, priority, queue, task, args, options, after, after_lax, key, key_limit)
SELECT coalesce(%s::timestamp with time zone,
                pg_catalog.statement_timestamp() OPERATOR(pg_catalog.+)
                pg_catalog.make_interval(secs => %s::double precision)),
       %s::integer, %s, %s, u.args::pg_catalog.json, %s::pg_catalog.text::pg_catalog.json,
       %s::bigint[], %s::bigint[], %s, %s::smallint
  FROM pg_catalog.unnest(%s::pg_catalog.text[]) AS u(args)
RETURNING id
