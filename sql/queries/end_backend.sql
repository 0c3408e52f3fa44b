-- Waits a little for its end: what it still commits is then to be seen.
SELECT pg_catalog.pg_terminate_backend(a.pid, 300)
  FROM pg_catalog.pg_stat_activity a
 WHERE a.pid = %s AND a.backend_start = %s
