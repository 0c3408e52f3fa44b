-- Jobs that succeeded eight days ago, one a millisecond, up to the first %(jobs)s numbers.
WITH asked AS (
    INSERT INTO wsup.job (task, args, enqueued_at)
    SELECT 'bench.noop', '{"number": 1}', now() - interval '8 days' + n * interval '1 ms'
      FROM generate_series(1, %(jobs)s::integer) AS n
    RETURNING id, enqueued_at)
INSERT INTO wsup.outcome (job, finished_at, state, seconds, supervisor, subworker, attempt)
SELECT id, enqueued_at, 'succeeded', 0.0001, 1, 1, 1 FROM asked
