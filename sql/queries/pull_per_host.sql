-- Of tasks that have streams of their own: of each, as many jobs as there is room for.
SELECT p.claim, p.job, p.attempt, p.task, p.queue, p.args, p.options
  FROM ROWS FROM (pg_catalog.unnest(%(tasks)s::text[]), pg_catalog.unnest(%(rooms)s::integer[])) AS t(task, room)
 CROSS JOIN LATERAL wsup.pull(
       %(supervisor)s::integer,
       ARRAY(SELECT q.queue OPERATOR(pg_catalog.||) E'\003' OPERATOR(pg_catalog.||) t.task
               FROM pg_catalog.unnest(%(queues)s::text[]) AS q(queue)),
       t.room) p
