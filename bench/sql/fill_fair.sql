-- Jobs by the thousand in a fair queue, in turn of one of so many keys; the first and the last of them.
WITH made AS (
    INSERT INTO wsup.job (task, queue, args, key)
    SELECT 'bench.app.noop', 'fair', json_build_object('number', n),
           'key ' || n %% %(groups)s::integer
      FROM generate_series(1, %(jobs)s) n
    RETURNING id)
SELECT min(id), max(id) FROM made
