INSERT INTO wsup.supervisor (host, pid, version, queues, subworkers, lease, direct)
VALUES (%(host)s, %(pid)s, %(version)s, %(queues)s, %(subworkers)s, %(lease)s, %(direct)s)
RETURNING id
