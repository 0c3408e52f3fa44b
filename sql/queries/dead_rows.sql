SELECT pg_stat_get_dead_tuples(('wsup.ready_' || %s::integer)::regclass)
