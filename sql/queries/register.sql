INSERT INTO wsup.supervisor (host, pid, version, queues, subworkers, lease, direct, agent, cpus)
VALUES (%(host)s, %(pid)s, %(version)s, %(queues)s, %(subworkers)s, %(lease)s, %(direct)s,
        %(agent)s, %(cpus)s)
RETURNING id
