-- The ten most complex functions of all: each job's result has the ten of its file.
SELECT f.complexity, j.args->>'file', f.name, f.line
  FROM wsup.outcome o
  JOIN wsup.job j ON j.id = o.job
 CROSS JOIN LATERAL json_to_recordset(o.result->'hardest')
            AS f(name text, line integer, complexity integer)
 WHERE o.state = 'succeeded'
 ORDER BY f.complexity DESC, j.args->>'file', f.line
 LIMIT 10
