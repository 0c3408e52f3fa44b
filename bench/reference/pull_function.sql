-- Takes up to `want` jobs from `queues`, by priority and then by age, under one claim.
--
-- PL/pgSQL keeps its plan for the session on every version (a SQL function only from 18 on), and
-- the settings leave the planner nothing but index scans, however empty `ready` was when it looked.
CREATE FUNCTION reference.pull(want int, queues text[], supervisor int)
RETURNS TABLE (claim bigint, job bigint, attempt smallint, task text, args json)
LANGUAGE plpgsql
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET plan_cache_mode = force_generic_plan
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH share AS MATERIALIZED (
        -- How many of the `want` come from each queue: read, not locked.
        SELECT merged.queue, count(*) AS jobs
        FROM (
            SELECT wanted.queue
            FROM unnest(pull.queues) AS wanted (queue),
                LATERAL (
                    SELECT ready.priority, ready.job
                    FROM reference.ready
                    WHERE ready.queue = wanted.queue
                    ORDER BY ready.priority DESC, ready.job
                    LIMIT pull.want
                ) AS candidate
            ORDER BY candidate.priority DESC, candidate.job
            LIMIT pull.want
        ) AS merged
        GROUP BY merged.queue
    ),
    taken AS (
        -- SKIP LOCKED keeps two pullers from waiting for each other.
        DELETE FROM reference.ready
        WHERE ready.ctid = ANY (ARRAY(
            SELECT picked.ctid
            FROM share,
                LATERAL (
                    SELECT next.ctid
                    FROM reference.ready AS next
                    WHERE next.queue = share.queue
                    ORDER BY next.priority DESC, next.job
                    LIMIT share.jobs
                    FOR UPDATE SKIP LOCKED
                ) AS picked
        ))
        RETURNING ready.job, ready.attempt
    ),
    held AS (
        INSERT INTO reference.claim (supervisor, jobs, attempts)
        SELECT pull.supervisor, array_agg(taken.job), array_agg(taken.attempt)
        FROM taken
        HAVING count(*) > 0
        RETURNING claim.id
    )
    SELECT held.id, taken.job, taken.attempt, job.task, job.args
    FROM held, taken
    JOIN reference.job ON job.id = taken.job;
END
$function$;
