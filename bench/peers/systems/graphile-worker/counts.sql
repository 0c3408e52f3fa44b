SELECT count(*) FILTER (WHERE last_error IS NOT NULL)::int AS failed,
       count(*) FILTER (WHERE last_error IS NULL)::int AS left
  FROM graphile_worker._private_jobs
