-- In template1, so that every database made later has it. The supervisor has a role of its own, so
-- that pg_stat_statements tells its statements from those of the harness.
CREATE ROLE worker SUPERUSER LOGIN;
CREATE EXTENSION pg_stat_statements;
CREATE EXTENSION pg_walinspect;
