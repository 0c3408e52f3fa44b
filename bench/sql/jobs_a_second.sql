-- $1 when it began, $2 when it ended: how many jobs ended in each whole second in between. A job
-- ends when its commit begins.
WITH given AS (SELECT %s::timestamptz AS began, %s::timestamptz AS ended),
     ends AS (
        SELECT floor(extract(epoch FROM o.finished_at - given.began))::integer AS n, count(*) AS jobs
          FROM given JOIN wsup.outcome o ON o.finished_at >= given.began
         GROUP BY 1)
SELECT coalesce(ends.jobs, 0)
  FROM given,
       generate_series(0, floor(extract(epoch FROM given.ended - given.began))::integer - 1) AS n
       LEFT JOIN ends USING (n)
 ORDER BY n
