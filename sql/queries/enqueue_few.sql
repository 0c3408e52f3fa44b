-- Some jobs of one task, in one round trip. The rows come back in the order of `args`.
INSERT INTO wsup.job (run_at, priority, queue, task, args, options)
SELECT coalesce(%s::timestamptz, statement_timestamp() + %s::float8 * interval '1 second'),
       %s::integer, %s, %s, u.args::json, %s::text::json
  FROM unnest(%s::text[]) AS u(args)
RETURNING id
