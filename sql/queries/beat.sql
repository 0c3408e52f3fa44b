SELECT alive, claimed, ready, next_due, dead_rows
  FROM wsup.beat(%(supervisor)s::integer, %(queues)s::text[], %(jobs_done)s::bigint,
                 %(memory)s::bigint, %(occupancy)s::real[], %(tell)s::boolean)
