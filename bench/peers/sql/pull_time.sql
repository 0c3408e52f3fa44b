-- $1 a part of the workers' statement that pulls: milliseconds and calls of it so far.
SELECT coalesce(sum(total_exec_time), 0)::float8, coalesce(sum(calls), 0)::bigint
  FROM pg_stat_statements
 WHERE userid = 'worker'::regrole AND position(%s IN query) > 0
