-- The supervisor's own role, so that pg_stat_statements tells its statements from the harness's.
CREATE ROLE worker SUPERUSER LOGIN;
CREATE EXTENSION pg_stat_statements;
CREATE EXTENSION pg_walinspect;
