-- The pull as the supervisor takes it: $1 supervisor, $2 queues, $3 jobs at most.
SELECT claim, job, attempt, task, queue, args, options
  FROM wsup.pull(%s::integer, %s::text[], %s::integer)
