SELECT DISTINCT c.supervisor
  FROM wsup.claim c JOIN wsup.cancel_request q ON c.jobs OPERATOR(pg_catalog.@>) q.job
