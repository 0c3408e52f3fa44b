-- Every queue that a job which has not ended, a supervisor, a pause or an order of its own names.
-- `blocked` are those in lines of keys.
SELECT q.queue, pg_catalog.max(q.paused_at), pg_catalog.sum(q.ready)::bigint,
       pg_catalog.sum(q.waiting)::bigint, pg_catalog.sum(q.running)::bigint,
       pg_catalog.sum(q.supervisors)::bigint, pg_catalog.sum(q.blocked)::bigint,
       coalesce(pg_catalog.max(o.fair::integer), 0)::boolean, pg_catalog.max(o.ageing)
  FROM (SELECT p.queue, p.paused_at, 0 AS ready, 0 AS waiting, 0 AS running, 0 AS supervisors,
               0 AS blocked
          FROM wsup.paused_queue p
         UNION ALL
        SELECT pg_catalog.split_part(r.queue, E'\003', 1), NULL, pg_catalog.count(*), 0, 0, 0, 0
          FROM wsup.ready r WHERE r.job OPERATOR(pg_catalog.>) 0 GROUP BY r.queue
         UNION ALL
        SELECT w.queue, NULL, 0, pg_catalog.count(*), 0, 0, 0 FROM wsup.waiting w GROUP BY w.queue
         UNION ALL
        SELECT j.queue, NULL, 0, 0, 1, 0, 0
          FROM wsup.claim c
         CROSS JOIN LATERAL pg_catalog.unnest(c.jobs) AS s(span)
         CROSS JOIN LATERAL pg_catalog.generate_series(
                   pg_catalog.lower(s.span), pg_catalog.upper(s.span) - 1) AS n(job)
          JOIN wsup.job j ON j.id = n.job
         UNION ALL
        SELECT b.queue, NULL, 0, 0, 0, 0, pg_catalog.count(*) FROM wsup.blocked b GROUP BY b.queue
         UNION ALL
        SELECT d.queue, NULL, 0, 0, 0, 0, 0 FROM wsup.queue_order d
         WHERE d.fair OR d.ageing IS NOT NULL
         UNION ALL
        SELECT u.queue, NULL, 0, 0, 0, 1, 0
          FROM wsup.supervisor s CROSS JOIN LATERAL pg_catalog.unnest(s.queues) AS u(queue)) q
  LEFT JOIN wsup.queue_order o ON o.queue OPERATOR(pg_catalog.=) q.queue
 GROUP BY q.queue ORDER BY q.queue
