-- Of the workers, in this database.
SELECT count(DISTINCT coalesce(leader_pid, pid)) FROM pg_stat_activity
 WHERE usename = 'worker' AND datname = current_database()
