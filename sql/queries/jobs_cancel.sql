SELECT job, state FROM wsup.cancel(%(jobs)s::bigint[])
