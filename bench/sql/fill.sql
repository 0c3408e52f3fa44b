-- Jobs as an enqueuer would leave them: some to run now, some tomorrow, round-robin over queues.
-- A single queue is the default one.
INSERT INTO wsup.job (queue, task, args, run_at)
SELECT CASE WHEN %(queues)s::integer = 1 THEN 'default' ELSE 'queue_' || n %% %(queues)s::integer END,
       'bench.noop', '{}',
       CASE WHEN n > %(ready)s::integer THEN now() + interval '1 day' END
  FROM generate_series(1, %(ready)s::integer + %(waiting)s::integer) AS n
