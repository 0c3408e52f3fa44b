-- Nothing may be left over: all four are zero when every job has exactly one outcome (at most one
-- by the primary key) and nothing is still ready or claimed.
SELECT
    (SELECT count(*) FROM reference.job
        WHERE NOT EXISTS (SELECT FROM reference.outcome WHERE outcome.job = job.id)) AS unfinished,
    (SELECT count(*) FROM reference.outcome
        WHERE NOT EXISTS (SELECT FROM reference.job WHERE job.id = outcome.job)) AS strays,
    (SELECT count(*) FROM reference.claim) AS claims,
    (SELECT count(*) FROM reference.ready) AS ready;
