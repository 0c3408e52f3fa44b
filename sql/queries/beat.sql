SELECT alive, claimed, ready, next_due, dead_rows,
       EXISTS (SELECT FROM wsup.cancel_request) AS cancelling,
       pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) AS server_time
  FROM wsup.beat(%(supervisor)s::integer, %(queues)s::text[], %(jobs_done)s::bigint,
                 %(memory)s::bigint, %(occupancy)s::real[], %(tell)s::boolean)
