-- What the job returned, and whether the supervisor has said that it sleeps.
SELECT (SELECT o.result::text FROM wsup.outcome o WHERE o.job = %s),
       EXISTS (SELECT FROM wsup.sleeper)
