-- What a job has said of its progress: a row of NULLs if nothing, no row if there is no such job.
SELECT p.fraction, p.message, p.attempt, p.at
  FROM wsup.job j LEFT JOIN wsup.progress p ON p.job = j.id
 WHERE j.id = %s
