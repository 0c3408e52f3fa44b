SELECT c.id, n.job, coalesce(a.attempt, 1::smallint) AS attempt
  FROM wsup.claim c
 CROSS JOIN LATERAL unnest(c.jobs) AS r(span)
 CROSS JOIN LATERAL generate_series(lower(r.span), upper(r.span) - 1) AS n(job)
  LEFT JOIN LATERAL (SELECT u.attempt FROM unnest(c.retried, c.attempts) AS u(job, attempt)
                      WHERE u.job = n.job) a ON true
 WHERE c.supervisor = %(supervisor)s AND c.id >= %(since)s
