-- Who did how much: jobs and seconds of each subworker.
SELECT subworker, count(*), sum(seconds)::float8
  FROM wsup.outcome
 GROUP BY subworker
 ORDER BY subworker
