SELECT pg_catalog.pg_stat_get_dead_tuples(
    pg_catalog.concat('wsup.', %s::text, '_', %s::integer)::pg_catalog.regclass)
