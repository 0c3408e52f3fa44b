-- So many jobs with so many keys; with no key, if that is 0.
INSERT INTO wsup.job (task, queue, key)
SELECT 'noop', %s, 'key ' || n %% nullif(%s::integer, 0) FROM generate_series(1, %s) AS n
