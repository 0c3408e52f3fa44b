SELECT claim, job, attempt, task, queue, args, options, holder
  FROM wsup.pull_for(%s::integer, %s::text[], %s::integer, %s::boolean, %s::integer[], %s::integer[])
