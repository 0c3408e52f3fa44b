-- The limits in force, each with how many jobs have a turn and how many stand in line.
SELECT l.kind, l.name, l.max_running, l.per_host, l.rate, l.burst, l.by_hand,
       (SELECT pg_catalog.count(*) FROM wsup.key_holder h WHERE h.key = l.gate) AS turns,
       (SELECT pg_catalog.count(*) FROM wsup.blocked b WHERE b.key = l.gate) AS blocked
  FROM wsup.limits l
 WHERE pg_catalog.num_nonnulls(l.max_running, l.rate, l.per_host) > 0 OR l.by_hand
 ORDER BY l.kind, l.name
