SELECT pg_catalog.pg_advisory_lock(2004055408, %s)
