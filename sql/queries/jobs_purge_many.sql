SELECT c.state, pg_catalog.count(*)
  FROM wsup.purge(ARRAY(
       SELECT f.job FROM wsup.find_jobs(
              %s::bigint[], %s::text[], %s::text, %s::text, %s::text,
              coalesce(%s::timestamptz, pg_catalog.now() OPERATOR(pg_catalog.-) %s::interval),
              coalesce(%s::timestamptz, pg_catalog.now() OPERATOR(pg_catalog.-) %s::interval),
              %s::text) f), %s::boolean) c
 GROUP BY c.state
