-- The supervisor's statements, BEGIN and COMMIT among them; track = top, so what a function does
-- inside is not counted.
SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements WHERE userid = 'worker'::regrole
