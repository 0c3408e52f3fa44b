-- The newest jobs that fit, each where it stands. One statement sees one moment, so a job that
-- moves meanwhile is seen once. A branch whose state isn't asked for is not run.
WITH placed AS (
    (SELECT r.job, 'ready' AS state, r.attempt, NULL::timestamptz AS at, NULL::real AS seconds
       FROM wsup.ready r
      WHERE coalesce(%(state)s::text, 'ready') = 'ready'
        AND (%(queue)s::text IS NULL OR r.queue = %(queue)s)
        AND (%(task)s::text IS NULL
             OR EXISTS (SELECT FROM wsup.job j WHERE j.id = r.job AND j.task = %(task)s))
      ORDER BY r.job DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT w.job, 'waiting', w.attempt, w.due_at, NULL
       FROM wsup.waiting w
      WHERE coalesce(%(state)s::text, 'waiting') = 'waiting'
        AND (%(queue)s::text IS NULL OR w.queue = %(queue)s)
        AND (%(task)s::text IS NULL
             OR EXISTS (SELECT FROM wsup.job j WHERE j.id = w.job AND j.task = %(task)s))
      ORDER BY w.job DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT c.job, 'blocked', c.attempt, NULL, NULL
       FROM wsup.child c
      WHERE coalesce(%(state)s::text, 'blocked') = 'blocked'
        AND (coalesce(%(queue)s::text, %(task)s::text) IS NULL
             OR EXISTS (SELECT FROM wsup.job j WHERE j.id = c.job
                           AND j.queue = coalesce(%(queue)s, j.queue)
                           AND j.task = coalesce(%(task)s, j.task)))
      ORDER BY c.job DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT n.job, 'running', coalesce(a.attempt, 1::smallint), c.claimed_at, NULL
       FROM wsup.claim c
      CROSS JOIN LATERAL pg_catalog.unnest(c.jobs) AS s(span)
      CROSS JOIN LATERAL pg_catalog.generate_series(
                pg_catalog.lower(s.span), pg_catalog.upper(s.span) - 1) AS n(job)
       LEFT JOIN LATERAL (SELECT u.attempt FROM unnest(c.retried, c.attempts) AS u(job, attempt)
                           WHERE u.job = n.job) a ON true
      WHERE coalesce(%(state)s::text, 'running') = 'running'
        AND (coalesce(%(queue)s::text, %(task)s::text) IS NULL
             OR EXISTS (SELECT FROM wsup.job j WHERE j.id = n.job
                           AND j.queue = coalesce(%(queue)s, j.queue)
                           AND j.task = coalesce(%(task)s, j.task)))
      ORDER BY n.job DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT o.job, o.state::text, o.attempt, o.finished_at, o.seconds
       FROM wsup.outcome o
      WHERE coalesce(%(state)s::text, o.state::text) = o.state::text
        AND coalesce(%(state)s::text, '') NOT IN ('ready', 'waiting', 'blocked', 'running')
        AND (coalesce(%(queue)s::text, %(task)s::text) IS NULL
             OR EXISTS (SELECT FROM wsup.job j WHERE j.id = o.job
                           AND j.queue = coalesce(%(queue)s, j.queue)
                           AND j.task = coalesce(%(task)s, j.task)))
      ORDER BY o.job DESC LIMIT %(limit)s))
SELECT p.job AS id, p.state, j.queue, j.task, p.attempt, j.priority,
       j.enqueued_at, p.at, p.seconds
  FROM placed p LEFT JOIN wsup.job j ON j.id = p.job
 ORDER BY p.job DESC LIMIT %(limit)s
