-- Cancels what has not ended, of a queue or of a task or of both. A branch whose state isn't asked for
-- is not run.
SELECT c.job, c.state
  FROM wsup.cancel(ARRAY(
        SELECT r.job FROM wsup.ready r
         WHERE coalesce(%(state)s::text, 'ready') = 'ready'
           AND (%(queue)s::text IS NULL OR r.queue = %(queue)s)
           AND (%(task)s::text IS NULL
                OR EXISTS (SELECT FROM wsup.job j WHERE j.id = r.job AND j.task = %(task)s))
        UNION
        SELECT w.job FROM wsup.waiting w
         WHERE coalesce(%(state)s::text, 'waiting') = 'waiting'
           AND (%(queue)s::text IS NULL OR w.queue = %(queue)s)
           AND (%(task)s::text IS NULL
                OR EXISTS (SELECT FROM wsup.job j WHERE j.id = w.job AND j.task = %(task)s))
        UNION
        SELECT w.job FROM wsup.child w
         WHERE coalesce(%(state)s::text, 'blocked') = 'blocked'
           AND EXISTS (SELECT FROM wsup.job j WHERE j.id = w.job
                          AND j.queue = coalesce(%(queue)s, j.queue)
                          AND j.task = coalesce(%(task)s, j.task))
        UNION
        SELECT n.job FROM wsup.claim c
         CROSS JOIN LATERAL pg_catalog.unnest(c.jobs) AS s(span)
         CROSS JOIN LATERAL pg_catalog.generate_series(
                   pg_catalog.lower(s.span), pg_catalog.upper(s.span) - 1) AS n(job)
         WHERE coalesce(%(state)s::text, 'running') = 'running'
           AND EXISTS (SELECT FROM wsup.job j WHERE j.id = n.job
                          AND j.queue = coalesce(%(queue)s, j.queue)
                          AND j.task = coalesce(%(task)s, j.task))), %(kill)s::boolean) c
