-- How a job ended: a row of NULLs while it has not, no row if there is no such job.
SELECT o.state::text, o.result::text, o.reason
  FROM wsup.job j LEFT JOIN wsup.outcome o ON o.job = j.id
 WHERE j.id = %s
