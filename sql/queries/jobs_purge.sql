SELECT job, state FROM wsup.purge(%(jobs)s::bigint[], %(unstarted)s::boolean)
