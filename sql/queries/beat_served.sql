SELECT b.alive, b.claimed, b.ready, b.next_due, b.dead_rows,
       EXISTS (SELECT FROM wsup.cancel_request) AS cancelling,
       pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) AS server_time,
       f.alive, f.holding
  FROM wsup.beat(%(supervisor)s::integer, %(queues)s::text[], %(jobs_done)s::bigint,
                 %(memory)s::bigint, '{}'::real[], %(tell)s::boolean) b,
       wsup.beat_for(%(supervisors)s, %(jobs_dones)s, %(memories)s, %(o1)s, %(o2)s, %(o3)s) f
