UPDATE job SET running = true
 WHERE id = (SELECT id FROM job WHERE NOT running ORDER BY id FOR UPDATE SKIP LOCKED LIMIT 1)
RETURNING id, task, args
