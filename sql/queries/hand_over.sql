-- The pull that follows in this transaction has room for so many jobs, of these queues.
SELECT pg_catalog.set_config('wsup.room', %s::integer::text, true),
       pg_catalog.set_config('wsup.room_of', %s::text[]::text, true)
