-- What a job has logged: a row of NULLs if nothing, no row if there is no such job.
SELECT l.attempt, l.at, l.source, l.level, l.line
  FROM wsup.job j LEFT JOIN LATERAL wsup.logs(j.id, %s::integer) l ON true
 WHERE j.id = %s
