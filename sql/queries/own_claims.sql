SELECT c.id, n.job, coalesce(a.attempt, 1::smallint) AS attempt
  FROM wsup.claim c
 CROSS JOIN LATERAL pg_catalog.unnest(c.jobs) AS r(span)
 CROSS JOIN LATERAL pg_catalog.generate_series(
           pg_catalog.lower(r.span), pg_catalog.upper(r.span) - 1) AS n(job)
  LEFT JOIN LATERAL (SELECT u.attempt FROM unnest(c.retried, c.attempts) AS u(job, attempt)
                      WHERE u.job = n.job) a ON true
 WHERE c.supervisor = %(supervisor)s AND c.id >= %(since)s
