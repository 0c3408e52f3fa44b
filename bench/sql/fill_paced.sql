-- Jobs by the thousand of a task with a rate that is never reached; the first and the last of them.
WITH said AS MATERIALIZED (
    SELECT wsup.set_limit('task', 'bench.app.paced', rate => '1000000/second')),
made AS (
    INSERT INTO wsup.job (task, args)
    SELECT 'bench.app.paced', json_build_object('number', n)
      FROM (SELECT count(*) FROM said) s, generate_series(1, %(jobs)s) n
    RETURNING id)
SELECT min(id), max(id) FROM made
