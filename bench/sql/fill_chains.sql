-- Chains of jobs, each of which waits for the one before it; the first and the last of them.
WITH given AS (
    SELECT nextval('wsup.job_id') - n AS before, n FROM generate_series(1, %(jobs)s) n),
made AS (
    INSERT INTO wsup.job (id, task, args, after)
    SELECT g.before + g.n, 'bench.app.noop', json_build_object('number', g.n),
           CASE WHEN g.n > %(groups)s THEN ARRAY[g.before + g.n - %(groups)s] END
      FROM given g ORDER BY g.n
    RETURNING id)
SELECT min(id), max(id) FROM made
