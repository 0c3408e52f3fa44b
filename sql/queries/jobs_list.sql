SELECT f.job AS id, f.state, j.queue, j.task, f.attempt, j.priority, j.enqueued_at, f.at, f.seconds
  FROM wsup.find_jobs(
              %s::bigint[], %s::text[], %s::text, %s::text, %s::text,
              coalesce(%s::timestamptz, pg_catalog.now() OPERATOR(pg_catalog.-) %s::interval),
              coalesce(%s::timestamptz, pg_catalog.now() OPERATOR(pg_catalog.-) %s::interval),
              %s::text, %s::bigint) f
  LEFT JOIN wsup.job j ON j.id = f.job
 ORDER BY f.job DESC
