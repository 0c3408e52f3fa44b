WITH told AS (SELECT pg_notify('job', ''))
INSERT INTO job (task, args) SELECT %s, %s::json FROM told
