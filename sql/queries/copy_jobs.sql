-- Many jobs. Fed by wsup/enqueue.py, in UTF-8 whatever the connection's own encoding.
COPY wsup.job (id, args, run_at, priority, queue, task, options)
FROM STDIN WITH (NULL '', ENCODING 'UTF8')
