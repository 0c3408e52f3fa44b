SELECT job, state FROM wsup.move(%(jobs)s::bigint[], %(queue)s::text)
