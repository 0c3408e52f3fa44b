-- The supervisors that are connected: each holds an advisory lock of its number.
SELECT s.host, s.pid, s.version
  FROM wsup.supervisor s
  JOIN pg_catalog.pg_locks l ON l.objid::bigint = s.id
 WHERE l.locktype = 'advisory' AND l.classid = 2004055408 AND l.objsubid = 2 AND l.granted
   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                      WHERE d.datname = current_database())
 ORDER BY s.host, s.pid
