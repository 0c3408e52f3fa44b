-- That no vacuum has taken away yet, in all tables.
SELECT coalesce(sum(n_dead_tup), 0)::bigint FROM pg_stat_user_tables
