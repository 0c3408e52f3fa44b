SELECT c.task, c.error, c.jobs, c.first_at, c.last_at, c.last_job
  FROM wsup.failed_jobs(ARRAY(
       SELECT f.job FROM wsup.find_jobs(
              %s::bigint[], %s::text[], %s::text, %s::text, %s::text,
              coalesce(%s::timestamptz, pg_catalog.now() OPERATOR(pg_catalog.-) %s::interval),
              coalesce(%s::timestamptz, pg_catalog.now() OPERATOR(pg_catalog.-) %s::interval),
              %s::text) f)) c
