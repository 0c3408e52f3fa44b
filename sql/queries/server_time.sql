-- Seconds since the epoch, by the server's clock. Named in full: the connection may be a caller's.
SELECT pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())
