-- Shared, so that the session that follows a lost one needn't wait for its end.
SELECT pg_catalog.pg_advisory_lock_shared(2004055408, %s)
