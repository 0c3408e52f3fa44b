-- Cancelling jobs, wherever they are. One that is not claimed ends at once; for one that is, a request
-- is left here, and whoever holds it is told. Nothing along the road is touched for jobs that nobody
-- cancels, but for one look of each pull whether there is any request at all.

CREATE TABLE wsup.cancel_request (
    job          bigint      PRIMARY KEY,
    kill         boolean     NOT NULL,      -- SIGKILL for a task that goes on all the same
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp()  -- a later one is heard once more
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- Cancels jobs. Tells for each what became of it: 'cancelled'; 'cancelling', if a supervisor has it
-- and is told; or the state in which it had ended. No claim is locked, and so nobody on the road waits
-- for a caller who leaves this transaction open.
--
-- As its owner, so that a role may be given this without the right to write outcomes.
CREATE FUNCTION wsup.cancel(jobs bigint[], kill boolean DEFAULT false,
                            reason text DEFAULT 'cancelled by request')
RETURNS TABLE (job bigint, state text) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    ended  bigint[];
    asked  bigint[];
    called int8multirange;
    heard  int8multirange;
BEGIN
    WITH wanted AS MATERIALIZED (
        SELECT j.id, j.queue, j.task, j.priority, j.key FROM wsup.job j WHERE j.id = ANY (cancel.jobs)),
    a AS (DELETE FROM wsup.ready r USING wanted q
           WHERE r.queue IN (q.queue, q.queue || E'\003' || q.task)
             AND r.rank = -1 - q.priority AND r.job = q.id
          RETURNING r.job, r.attempt),
    b AS (DELETE FROM wsup.waiting w USING wanted q WHERE w.job = q.id RETURNING w.job, w.attempt),
    c AS (DELETE FROM wsup.child h USING wanted q WHERE h.job = q.id RETURNING h.job, h.attempt),
    d AS (DELETE FROM wsup.blocked b USING wanted q
           WHERE b.key = ANY (wsup.lines(q.key, q.queue, q.task))
             AND b.rank = -1 - q.priority AND b.job = q.id
          RETURNING b.job, b.attempt),
    e AS MATERIALIZED (SELECT * FROM wsup.uproot(cancel.jobs)),
    over AS (
        INSERT INTO wsup.outcome AS o (job, state, attempt, reason)
        SELECT t.job, 'cancelled', t.attempt, cancel.reason
          FROM (SELECT * FROM a UNION ALL SELECT * FROM b UNION ALL SELECT * FROM c
                UNION ALL SELECT * FROM d UNION ALL SELECT * FROM e) t
        RETURNING o.job)
    SELECT array_agg(o.job) INTO ended FROM over o;
    IF ended IS NOT NULL THEN
        PERFORM wsup.release_later(ended);
        PERFORM wsup.end_turns(ended, false);
    END IF;

    -- By now, the deletion has waited for whoever was just taking one of them: the others are claimed,
    -- or over, or on their way back, where the next pull meets their request.
    WITH made AS (
        INSERT INTO wsup.cancel_request AS r (job, kill)
        SELECT j.id, cancel.kill FROM wsup.job j
         WHERE j.id = ANY (cancel.jobs)
           AND NOT EXISTS (SELECT FROM wsup.outcome o WHERE o.job = j.id)
        ON CONFLICT ON CONSTRAINT cancel_request_pkey DO UPDATE
           SET kill = r.kill OR excluded.kill, requested_at = excluded.requested_at
        RETURNING r.job)
    SELECT array_agg(m.job), range_agg(int8range(m.job, m.job + 1)) INTO asked, called FROM made m;

    IF asked IS NOT NULL THEN
        WITH holder AS (
            SELECT c.supervisor, c.jobs FROM wsup.claim c WHERE c.jobs && called),
        told AS MATERIALIZED (
            SELECT pg_notify(h.channel, 'cancel')
              FROM (SELECT DISTINCT wsup.channel(supervisor) AS channel FROM holder) h)
        SELECT range_agg(h.jobs) INTO heard FROM holder h, (SELECT count(*) FROM told) t;
        IF NOT coalesce(heard, '{}') @> called THEN
            PERFORM pg_notify('wsup', 'cancel');
        END IF;
    END IF;

    RETURN QUERY
    SELECT u.id, CASE WHEN e.id IS NOT NULL THEN 'cancelled'
                      WHEN a.id IS NOT NULL THEN 'cancelling'
                      ELSE wsup.status(u.id) END
      FROM unnest(cancel.jobs) AS u(id)
      LEFT JOIN unnest(ended) AS e(id) ON e.id = u.id
      LEFT JOIN unnest(asked) AS a(id) ON a.id = u.id;
END
$$;
REVOKE EXECUTE ON FUNCTION wsup.cancel(bigint[], boolean, text) FROM PUBLIC;

-- Ends the jobs that nobody holds and that are to be cancelled: given back, rescued, snoozed or put
-- off for a retry while their request was under way. Waits for nobody: a row that another one holds is
-- being taken, and its new holder will be told.
CREATE FUNCTION wsup.drop_cancelled() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    ended bigint[];
BEGIN
    WITH asked AS MATERIALIZED (
        SELECT j.id, j.queue, j.task, j.priority, j.key
          FROM wsup.cancel_request q JOIN wsup.job j ON j.id = q.job),
    ready AS MATERIALIZED (
        SELECT r.lane, r.queue, r.rank, r.job FROM asked a
          JOIN wsup.ready r ON r.queue IN (a.queue, a.queue || E'\003' || a.task) AND r.rank = -1 - a.priority AND r.job = a.id
           FOR UPDATE OF r SKIP LOCKED),
    waiting AS MATERIALIZED (
        SELECT w.job FROM asked a JOIN wsup.waiting w ON w.job = a.id FOR UPDATE OF w SKIP LOCKED),
    blocked AS MATERIALIZED (
        SELECT b.key, b.rank, b.job FROM asked a
          JOIN wsup.blocked b ON b.key = ANY (wsup.lines(a.key, a.queue, a.task)) AND b.rank = -1 - a.priority AND b.job = a.id
           FOR UPDATE OF b SKIP LOCKED),
    a AS (DELETE FROM wsup.ready r USING ready l
           WHERE r.lane = l.lane AND r.queue = l.queue AND r.rank = l.rank AND r.job = l.job
          RETURNING r.job, r.attempt),
    b AS (DELETE FROM wsup.waiting w USING waiting l WHERE w.job = l.job
          RETURNING w.job, w.attempt),
    c AS (DELETE FROM wsup.blocked b USING blocked l
           WHERE b.key = l.key AND b.rank = l.rank AND b.job = l.job
          RETURNING b.job, b.attempt),
    d AS MATERIALIZED (SELECT * FROM wsup.uproot(ARRAY(SELECT a.id FROM asked a), false)),
    over AS (
        INSERT INTO wsup.outcome AS o (job, state, attempt, reason)
        SELECT t.job, 'cancelled', t.attempt, 'cancelled by request'
          FROM (SELECT * FROM a UNION ALL SELECT * FROM b UNION ALL SELECT * FROM c
                UNION ALL SELECT * FROM d) t
        RETURNING o.job),
    done AS MATERIALIZED (
        SELECT q.job FROM over o JOIN wsup.cancel_request q ON q.job = o.job
           FOR UPDATE OF q SKIP LOCKED),
    heard AS (DELETE FROM wsup.cancel_request q USING done d WHERE q.job = d.job)
    SELECT array_agg(o.job) INTO ended FROM over o;
    IF ended IS NOT NULL THEN
        PERFORM wsup.release(ended);
        PERFORM wsup.end_turns(ended, false);
    END IF;
END
$$;

-- The jobs held by a supervisor that it is to cancel. Requests whose job is over are removed.
CREATE FUNCTION wsup.cancelling(supervisor integer)
RETURNS TABLE (claim bigint, job bigint, kill boolean, requested_at timestamptz)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    PERFORM wsup.drop_cancelled();
    WITH settled AS MATERIALIZED (
        SELECT q.job FROM wsup.cancel_request q
         WHERE EXISTS (SELECT FROM wsup.outcome o WHERE o.job = q.job)
            OR NOT EXISTS (SELECT FROM wsup.job j WHERE j.id = q.job)
           FOR UPDATE OF q SKIP LOCKED)
    DELETE FROM wsup.cancel_request q USING settled s WHERE q.job = s.job;
    RETURN QUERY
    SELECT c.id, q.job, q.kill, q.requested_at
      FROM wsup.claim c JOIN wsup.cancel_request q ON c.jobs @> q.job
     WHERE c.supervisor = cancelling.supervisor;
END
$$;
