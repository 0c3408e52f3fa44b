INSERT INTO wsup.supervisor (host, pid, version, queues, subworkers, lease)
VALUES (%(host)s, %(pid)s, %(version)s, %(queues)s, %(subworkers)s, %(lease)s)
RETURNING id
