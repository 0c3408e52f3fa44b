-- The supervisor's statements; track = top, so what a function does inside is not counted. BEGIN and
-- COMMIT are left out: cost.py adds them.
SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
 WHERE userid = 'worker'::regrole AND query NOT ILIKE 'begin%%' AND query NOT ILIKE 'commit%%'
