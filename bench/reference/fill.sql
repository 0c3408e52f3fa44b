-- $1 jobs, $2 task, $3 queue: as an enqueuer would leave them, oldest first.
WITH enqueued AS (
    INSERT INTO reference.job (task, queue, priority, args)
    SELECT $2::text, $3::text, 0, '{}'
    FROM generate_series(1, $1::int)
    RETURNING id, queue, priority
)
INSERT INTO reference.ready (queue, priority, job, attempt)
SELECT enqueued.queue, enqueued.priority, enqueued.id, 1
FROM enqueued;
