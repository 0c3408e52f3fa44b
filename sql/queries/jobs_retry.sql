SELECT job, state FROM wsup.retry(%(jobs)s::bigint[])
