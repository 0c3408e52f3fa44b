-- As copy_jobs.sql, for jobs that wait for others or have a key.
COPY wsup.job (id, args, run_at, priority, queue, task, options, after, after_lax, key, key_limit)
FROM STDIN WITH (NULL '', ENCODING 'UTF8')
