INSERT INTO wsup.token (id, agent, queues, verbs, key, expires_at)
VALUES (%(id)s, %(agent)s, %(queues)s, %(verbs)s, %(key)s, %(expires_at)s)
