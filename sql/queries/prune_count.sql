-- How many jobs are older than their states are kept.
SELECT pg_catalog.count(*)
  FROM wsup.outcome o
 WHERE o.state = ANY (%(states)s::wsup.outcome_state[])
   AND o.finished_at < pg_catalog.clock_timestamp()
                       OPERATOR(pg_catalog.-) %(keep)s * interval '1 second'
