-- All figures of all files. The time is the server's: from the first job enqueued to the last commit.
SELECT count(*),
       extract(epoch FROM max(o.finished_at) - (SELECT min(enqueued_at) FROM wsup.job))::float8,
       coalesce(sum((o.result->>'lines')::integer), 0),
       coalesce(sum((o.result->>'comments')::integer), 0),
       coalesce(sum((o.result->>'classes')::integer), 0),
       coalesce(sum((o.result->>'functions')::integer), 0)
  FROM wsup.outcome o
