-- $1 to $2, of the whole server: transactions that wrote, and the bytes of the records without
-- their full page images, whose number depends on when the last checkpoint was.
SELECT coalesce(sum(count) FILTER (
           WHERE "resource_manager/record_type" = 'Transaction/COMMIT'), 0)::bigint,
       coalesce(sum(record_size), 0)::bigint
  FROM pg_get_wal_stats(%s::pg_lsn, %s::pg_lsn, true)
