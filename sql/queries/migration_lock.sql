-- One host at a time, in whatever isolation the role is used to: a snapshot taken before the lock
-- was given would not see what the other host has just applied.
SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;
SET LOCAL statement_timeout = 0;
SET LOCAL search_path = pg_catalog, pg_temp;  -- whoever may create things elsewhere
SET LOCAL client_encoding = 'UTF8';  -- as the files are
-- 'wsup' in ASCII; supervisors lock the numbers from 1 on.
SELECT pg_advisory_xact_lock(2004055408, 0);
