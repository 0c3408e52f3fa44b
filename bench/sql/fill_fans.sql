-- Groups of jobs that all wait for the first one of theirs, and the last one of theirs for all others;
-- the first and the last of them.
WITH given AS (
    SELECT nextval('wsup.job_id') - n AS before, n,
           (n - 1) / (%(jobs)s / %(groups)s) * (%(jobs)s / %(groups)s) + 1 AS root
      FROM generate_series(1, %(jobs)s) n),
made AS (
    INSERT INTO wsup.job (id, task, args, after)
    SELECT g.before + g.n, 'bench.app.noop', json_build_object('number', g.n),
           CASE g.n WHEN g.root THEN NULL
                    WHEN g.root + %(jobs)s / %(groups)s - 1
                    THEN ARRAY(SELECT g.before + m FROM generate_series(g.root + 1, g.n - 1) m)
                    ELSE ARRAY[g.before + g.root] END
      FROM given g ORDER BY g.n
    RETURNING id)
SELECT min(id), max(id) FROM made
