-- Jobs by the thousand that use nothing; the first and the last of them.
WITH made AS (
    INSERT INTO wsup.job (task, args)
    SELECT 'bench.app.noop', json_build_object('number', n) FROM generate_series(1, %(jobs)s) n
    RETURNING id)
SELECT min(id), max(id) FROM made
