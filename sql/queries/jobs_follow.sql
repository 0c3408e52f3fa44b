-- Where a job stands, and how far it has said it is; no row if there is no such job.
SELECT wsup.status(j.id) AS state, p.attempt, p.fraction, p.message
  FROM wsup.job j LEFT JOIN wsup.progress p ON p.job = j.id
 WHERE j.id = %(job)s
