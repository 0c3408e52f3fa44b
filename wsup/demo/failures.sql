-- Why jobs failed, by the type of the error, the most frequent first.
SELECT f.type, count(*) OVER (PARTITION BY f.type), j.args->>'file', f.message
  FROM wsup.outcome o
  JOIN wsup.failure f ON f.job = o.job AND f.attempt = o.attempt
  JOIN wsup.job j ON j.id = o.job
 WHERE o.state = 'failed'
 ORDER BY count(*) OVER (PARTITION BY f.type) DESC, f.type, j.args->>'file'
