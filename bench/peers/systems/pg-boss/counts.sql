SELECT count(*) FILTER (WHERE state = 'completed' AND retry_count = 0)::int AS done,
       count(*) FILTER (WHERE state IN ('failed', 'cancelled') OR retry_count > 0)::int AS failed,
       count(*) FILTER (WHERE state IN ('created', 'active') AND retry_count = 0)::int AS left
  FROM pgboss.job
 WHERE name NOT LIKE '\_\_pgboss\_\_%'
