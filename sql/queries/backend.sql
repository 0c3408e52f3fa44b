-- Of the process that answers this. (A standby's transactions are read-only.)
SELECT a.pid, a.backend_start,
       pg_catalog.current_setting('default_transaction_isolation') = 'read committed',
       pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool
  FROM pg_catalog.pg_stat_activity a
 WHERE a.pid = pg_catalog.pg_backend_pid()
