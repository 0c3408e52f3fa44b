SELECT l.relation::regclass::text, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
 WHERE l.pid = %s AND l.granted AND l.locktype = 'relation'
   AND c.relkind IN ('r', 'p') AND c.relnamespace = 'wsup'::regnamespace
