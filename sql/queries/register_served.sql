INSERT INTO wsup.supervisor
    (host, pid, version, queues, subworkers, lease, direct, agent, cpus, via)
VALUES (%(host)s, %(pid)s, %(version)s, %(queues)s, %(subworkers)s, %(lease)s, false, %(agent)s,
        %(cpus)s, 'http')
RETURNING id
