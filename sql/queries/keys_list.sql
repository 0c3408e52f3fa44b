-- Keys in use, but for those that take turns in a fair queue; those with the longest lines first. `key_limit` is the one in force.
SELECT k.key, coalesce(pg_catalog.max(k.given), pg_catalog.min(k.key_limit)) AS key_limit,
       pg_catalog.max(k.given) IS NOT NULL AS is_set, pg_catalog.sum(k.turns)::bigint AS turns,
       pg_catalog.sum(k.blocked)::bigint AS blocked, pg_catalog.min(k.first) AS first
  FROM (SELECT b.key, b.key_limit, NULL::smallint AS given, 0 AS turns, 1 AS blocked,
               NULL::bigint AS first
          FROM wsup.blocked b
         WHERE b.key = coalesce(%(key)s::text, b.key) AND b.key OPERATOR(pg_catalog.>=) ' '
        UNION ALL
        SELECT h.key, h.key_limit, NULL, 1, 0, h.job FROM wsup.key_holder h
         WHERE h.key = coalesce(%(key)s::text, h.key) AND h.key OPERATOR(pg_catalog.>=) ' '
        UNION ALL
        SELECT l.key, NULL, l.key_limit, 0, 0, NULL FROM wsup.key_limit l
         WHERE l.key = coalesce(%(key)s::text, l.key)) k
 GROUP BY k.key
 ORDER BY pg_catalog.sum(k.blocked) DESC, pg_catalog.sum(k.turns) DESC, k.key
 LIMIT %(limit)s
