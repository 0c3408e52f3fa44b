INSERT INTO wsup.sleeper AS s (supervisor, queues, look_every)
VALUES (%(supervisor)s, %(queues)s, %(look_every)s * interval '1 second')
ON CONFLICT (supervisor) DO UPDATE SET queues = excluded.queues, look_every = excluded.look_every
