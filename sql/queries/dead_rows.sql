SELECT pg_catalog.pg_stat_get_dead_tuples(
    pg_catalog.concat('wsup.ready_', %s::integer)::pg_catalog.regclass)
