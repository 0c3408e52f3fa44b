-- Of those that have not expired by themselves.
SELECT id FROM wsup.token
 WHERE revoked_at IS NOT NULL AND expires_at > pg_catalog.clock_timestamp()
