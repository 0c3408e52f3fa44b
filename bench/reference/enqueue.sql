-- One job and its wake-up in one transaction: $1 task, $2 queue.
WITH enqueued AS (
    INSERT INTO reference.job (task, queue, priority, args)
    VALUES ($1::text, $2::text, 0, '{}')
    RETURNING id, queue, priority
),
readied AS (
    INSERT INTO reference.ready (queue, priority, job, attempt)
    SELECT enqueued.queue, enqueued.priority, enqueued.id, 1
    FROM enqueued
)
SELECT pg_notify('reference', '');
