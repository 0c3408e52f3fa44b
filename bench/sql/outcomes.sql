-- $1 when it began, $2 and $3 the first and the last job; seconds from the beginning, and from the
-- first outcome, to the last one.
WITH given AS (SELECT %s::timestamptz AS began, %s::bigint AS first, %s::bigint AS last)
SELECT count(*), count(*) FILTER (WHERE o.state = 'succeeded' AND o.attempt = 1),
       extract(epoch FROM max(o.finished_at) - min(given.began))::float8,
       extract(epoch FROM max(o.finished_at) - min(o.finished_at))::float8
  FROM given JOIN wsup.outcome o ON o.job BETWEEN given.first AND given.last
