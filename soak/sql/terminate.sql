-- One of wsup's backends at random, or all: which, what for.
SELECT pid, application_name, pg_terminate_backend(pid) FROM (
    SELECT pid, application_name FROM pg_stat_activity
     WHERE application_name LIKE 'wsup%%' AND pid <> pg_backend_pid()
     ORDER BY md5(pid || %s) LIMIT %s) a
