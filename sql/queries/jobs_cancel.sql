SELECT job, state FROM wsup.cancel(%(jobs)s::bigint[], %(kill)s::boolean)
