-- Many jobs that wait for others, as copy_jobs.sql has those that don't.
COPY wsup.job (id, args, run_at, priority, queue, task, options, after, after_lax)
FROM STDIN WITH (NULL '', ENCODING 'UTF8')
