SELECT claim, job, attempt, task, queue, args, options
  FROM wsup.pull(%s::integer, %s::text[], %s::integer, %s::boolean)
