-- The workers' statements; track = top, so what a function does inside is not counted. The words
-- that begin and end transactions are left out, for all alike: they are counted once only where they
-- are prepared, and the transactions have a figure of their own.
SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
 WHERE userid = 'worker'::regrole
   AND query !~* '^\s*(begin|start|commit|end|rollback|abort|savepoint|release)\M'
