-- What two connections have in common if they lead to the same database.
SELECT pg_catalog.current_database(), pg_catalog.pg_postmaster_start_time()
