-- Jobs by the thousand of a task of which so many run at once; the first and the last of them.
WITH said AS MATERIALIZED (
    SELECT wsup.set_limit('task', 'bench.app.limited', max_running => %(groups)s::integer)),
made AS (
    INSERT INTO wsup.job (task, args)
    SELECT 'bench.app.limited', json_build_object('number', n)
      FROM (SELECT count(*) FROM said) s, generate_series(1, %(jobs)s) n
    RETURNING id)
SELECT min(id), max(id) FROM made
