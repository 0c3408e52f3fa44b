SELECT pid FROM pg_stat_activity WHERE usename = 'worker'
