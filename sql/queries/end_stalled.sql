-- Ends turns that have long been waiting for a word of their supervisor's, which may be stopped or
-- cut off: they hold claims, and the jobs that they were about to claim, for as long as that lasts.
SELECT pg_catalog.pg_terminate_backend(a.pid, 300)
  FROM pg_catalog.pg_stat_activity a
 WHERE a.wait_event_type = 'Client'
   AND a.state_change < pg_catalog.clock_timestamp() - interval '1 second'
   AND a.pid IN (
       SELECT l.pid FROM pg_catalog.pg_locks l
        WHERE l.relation = 'wsup.claim'::pg_catalog.regclass
          AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                             WHERE d.datname = pg_catalog.current_database())
          AND l.mode IN ('RowShareLock', 'RowExclusiveLock'))
