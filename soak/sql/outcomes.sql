-- Every job with its outcomes: NULL if it has none, several rows if it has several.
SELECT j.id, j.task, o.state::text, o.attempt
  FROM wsup.job j LEFT JOIN wsup.outcome o ON o.job = j.id
