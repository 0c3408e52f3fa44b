SELECT count(*) FROM pg_stat_activity a WHERE %s = ANY (pg_blocking_pids(a.pid))
