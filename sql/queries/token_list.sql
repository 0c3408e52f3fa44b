SELECT id, agent, queues, verbs, key, issued_at, expires_at, revoked_at
  FROM wsup.token ORDER BY issued_at, id
