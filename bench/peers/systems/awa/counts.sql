WITH ended AS (
    SELECT (SELECT coalesce(sum(pruned_completed_count), 0) FROM awa.queue_terminal_rollups)
           + (SELECT coalesce(sum(completed_count), 0) FROM awa.receipt_completion_batches)
           + (SELECT count(*) FROM awa.done_entries WHERE state = 'completed') AS well,
           (SELECT coalesce(sum(pruned_failed_count), 0) FROM awa.queue_terminal_rollups)
           + (SELECT count(*) FROM awa.done_entries WHERE state <> 'completed')
           + (SELECT count(*) FROM awa.dlq_entries)
           + (SELECT count(*) FROM awa.deferred_jobs) AS badly
)
SELECT well::bigint, badly::bigint,
       ((SELECT coalesce(sum(awa.sequence_next_value(seq_name) - 1), 0)
           FROM awa.queue_enqueue_heads) - well - badly)::bigint
  FROM ended
