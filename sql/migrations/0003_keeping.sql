-- The functions that keep the road free: due jobs, sleepers, the living and the dead.

-- Moves up to `n` due jobs from waiting to ready. Returns how many, and in how many seconds the
-- next one is due (NULL: none), by the server's clock, so that a host's own clock doesn't matter.
CREATE FUNCTION wsup.promote(n integer, OUT promoted bigint, OUT next_due double precision)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    -- Read once: no index can be searched for what changes from row to row, and all of those that
    -- are not due would be looked at.
    due_by CONSTANT timestamptz := clock_timestamp();
    first    timestamptz;
    keyed    bigint[];
    attempts smallint[];
    limited  CONSTANT boolean := EXISTS (SELECT FROM wsup.limits);
BEGIN
    IF wsup.untied() IS NOT NULL THEN
        PERFORM wsup.tie_up(n);
    END IF;
    IF limited AND wsup.next_token() <= 0 THEN
        PERFORM wsup.ring_gates();
    END IF;
    first := (wsup.first_due()).due;
    WITH due AS MATERIALIZED (
        SELECT w.job FROM wsup.waiting w WHERE w.due_at >= first AND w.due_at <= due_by
         ORDER BY w.due_at LIMIT n FOR UPDATE SKIP LOCKED),
    moved AS (
        DELETE FROM wsup.waiting w WHERE w.job = ANY (ARRAY(SELECT d.job FROM due d))
        RETURNING w.job, w.priority, w.attempt, w.queue, w.key),
    made AS (
        INSERT INTO wsup.ready (job, rank, attempt, lane, queue)
        SELECT m.job, -1 - m.priority, m.attempt, l.last_value % 4, m.queue
          FROM wsup.lane_turn l, moved m WHERE m.key IS NULL AND NOT limited)
    SELECT count(*), array_agg(m.job) FILTER (WHERE m.key IS NOT NULL OR limited),
           array_agg(m.attempt) FILTER (WHERE m.key IS NOT NULL OR limited)
      INTO promoted, keyed, attempts FROM moved m;
    IF keyed IS NOT NULL THEN
        PERFORM wsup.line_up(keyed, attempts);
    END IF;
    next_due := wsup.next_due();
END
$$;

-- What a supervisor looks for once it has said that it sleeps. `writers` are the transactions that
-- may have put jobs into ready before they could see the sleeper: until they have ended, look again.
CREATE FUNCTION wsup.look(queues text[], OUT ready boolean, OUT next_due double precision,
                          OUT writers text[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    -- The writers first: one that ends between the two looks has its jobs found by the second.
    writers := ARRAY(
        SELECT DISTINCT l.virtualtransaction FROM pg_catalog.pg_locks l
         WHERE l.relation IN ('wsup.ready'::regclass, 'wsup.waiting'::regclass,
                              'wsup.loose_end'::regclass)
           AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                              WHERE d.datname = current_database())
           AND l.mode = 'RowExclusiveLock' AND l.granted AND l.pid <> pg_backend_pid());
    ready := EXISTS (
        SELECT FROM unnest(queues) AS q(queue)
         CROSS JOIN LATERAL (SELECT FROM wsup.ready r WHERE r.queue = q.queue LIMIT 1) found
         WHERE split_part(q.queue, E'\003', 1)
               <> ALL (ARRAY(SELECT p.queue FROM wsup.paused_queue p)));
    next_due := wsup.next_due();
END
$$;

-- A sign of life. `alive` is false when somebody has buried this supervisor meanwhile. `claimed`
-- tells whether any other supervisor holds jobs, for then its pulse must be watched.
CREATE FUNCTION wsup.beat(supervisor integer, queues text[], jobs_done bigint, memory bigint,
                          occupancy real[], tell boolean,
                          OUT alive boolean, OUT claimed boolean, OUT ready boolean,
                          OUT next_due double precision, OUT dead_rows bigint[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    UPDATE wsup.supervisor s
       SET beat = s.beat + 1, beaten_at = clock_timestamp(), jobs_done = beat.jobs_done,
           memory = beat.memory, occupancy = beat.occupancy, via = 'sql',
           via_since = CASE WHEN s.via = 'sql' THEN s.via_since ELSE clock_timestamp() END
     WHERE s.id = beat.supervisor;
    alive := FOUND;
    claimed := EXISTS (SELECT FROM wsup.claim c WHERE c.supervisor < beat.supervisor)
            OR EXISTS (SELECT FROM wsup.claim c WHERE c.supervisor > beat.supervisor);
    ready := EXISTS (
        SELECT FROM unnest(beat.queues) AS q(queue)
         CROSS JOIN LATERAL (SELECT FROM wsup.ready r WHERE r.queue = q.queue LIMIT 1) found
         WHERE split_part(q.queue, E'\003', 1)
               <> ALL (ARRAY(SELECT p.queue FROM wsup.paused_queue p)));
    next_due := wsup.next_due();
    dead_rows := ARRAY[pg_stat_get_dead_tuples('wsup.ready_0'::regclass),
                       pg_stat_get_dead_tuples('wsup.ready_1'::regclass),
                       pg_stat_get_dead_tuples('wsup.ready_2'::regclass),
                       pg_stat_get_dead_tuples('wsup.ready_3'::regclass),
                       pg_stat_get_dead_tuples('wsup.blocked_0'::regclass),
                       pg_stat_get_dead_tuples('wsup.blocked_1'::regclass),
                       pg_stat_get_dead_tuples('wsup.blocked_2'::regclass),
                       pg_stat_get_dead_tuples('wsup.blocked_3'::regclass),
                       pg_stat_get_dead_tuples('wsup.key_holder_0'::regclass),
                       pg_stat_get_dead_tuples('wsup.key_holder_1'::regclass),
                       pg_stat_get_dead_tuples('wsup.key_holder_2'::regclass),
                       pg_stat_get_dead_tuples('wsup.key_holder_3'::regclass)];
    IF tell THEN
        PERFORM pg_notify('wsup_' || s.supervisor, 'claimed')
           FROM wsup.sleeper s WHERE s.supervisor <> beat.supervisor;
    END IF;
END
$$;

-- The other supervisors as an observer must see them: whether their session lives (it holds an
-- advisory lock; one without a direct connection can't, and counts as connected), and a counter to
-- be timed by the observer's own clock. Claims whose supervisor has no row show up as a dead one.
CREATE FUNCTION wsup.peers(observer integer)
RETURNS TABLE (id integer, beat bigint, lease real, connected boolean)
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH held AS MATERIALIZED (
        SELECT l.objid::integer AS id FROM pg_catalog.pg_locks l
         WHERE l.locktype = 'advisory' AND l.classid = 2004055408 AND l.objsubid = 2 AND l.granted
           AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                              WHERE d.datname = current_database()))
    SELECT s.id, s.beat, s.lease, NOT s.direct OR s.id IN (SELECT h.id FROM held h)
      FROM wsup.supervisor s WHERE s.id <> observer
    UNION ALL
    SELECT c.supervisor, -1, 0, c.supervisor IN (SELECT h.id FROM held h)
      FROM (SELECT DISTINCT supervisor FROM wsup.claim) c
     WHERE c.supervisor <> observer
       AND NOT EXISTS (SELECT FROM wsup.supervisor s WHERE s.id = c.supervisor)
$$;

-- Buries a supervisor: what its claims still hold is given to others, at the same attempt. The
-- claims alone tell what was not finished; outcomes are not asked. A job lost with its host
-- `max_lost` times before is not tried again. Returns the number of jobs that were held. A claim that
-- somebody else keeps locked for `patience` seconds is left; being nobody's, it is seen as another
-- dead supervisor's later.
CREATE FUNCTION wsup.rescue(dead integer, max_lost integer, patience real DEFAULT 1) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    host  text;
    freed bigint;
    ended bigint[];
BEGIN
    DELETE FROM wsup.supervisor s WHERE s.id = dead RETURNING s.host INTO host;
    DELETE FROM wsup.sleeper s WHERE s.supervisor = dead;
    -- A turn that is under way, or a task that is finishing its job itself, is waited for; not one that
    -- hangs.
    FOR i IN 1..patience / 0.05 LOOP
        EXIT WHEN (SELECT count(*) FROM wsup.claim c WHERE c.supervisor = dead)
                = (SELECT count(*) FROM (SELECT FROM wsup.claim c WHERE c.supervisor = dead
                                            FOR UPDATE SKIP LOCKED) l);
        PERFORM pg_sleep(0.05);
    END LOOP;
    WITH held_claims AS MATERIALIZED (
        SELECT c.id FROM wsup.claim c WHERE c.supervisor = dead FOR UPDATE SKIP LOCKED),
    gone AS (
        DELETE FROM wsup.claim c USING held_claims h WHERE c.supervisor = dead AND c.id = h.id
        RETURNING c.jobs, c.retried, c.attempts),
    held AS MATERIALIZED (
        SELECT n.job, coalesce(a.attempt, 1::smallint) AS attempt
          FROM gone g
         CROSS JOIN LATERAL unnest(g.jobs) AS r(span)
         CROSS JOIN LATERAL generate_series(lower(r.span), upper(r.span) - 1) AS n(job)
          LEFT JOIN LATERAL (SELECT u.attempt FROM unnest(g.retried, g.attempts) AS u(job, attempt)
                              WHERE u.job = n.job) a ON true),
    judged AS MATERIALIZED (
        SELECT h.job, h.attempt, j.priority, wsup.stream(j.queue, j.task) AS queue,
               (SELECT count(*) FROM wsup.failure f WHERE f.job = h.job AND f.lost) >= max_lost AS over
          FROM held h JOIN wsup.job j ON j.id = h.job),
    noted AS (
        INSERT INTO wsup.failure (job, attempt, supervisor, lost, type, message)
        SELECT j.job, j.attempt, dead, true, 'SupervisorDied',
               format('supervisor %s%s died while it held this job', dead, ' on ' || host)
          FROM judged j),
    ended AS (
        INSERT INTO wsup.outcome (job, state, supervisor, attempt)
        SELECT j.job, 'failed', dead, j.attempt FROM judged j WHERE j.over),
    again AS (
        INSERT INTO wsup.ready (job, rank, attempt, lane, queue)
        SELECT j.job, -1 - j.priority, j.attempt, l.last_value % 4, j.queue
          FROM wsup.lane_turn l, judged j WHERE NOT j.over)
    SELECT (SELECT count(*) FROM held), array_agg(j.job) FILTER (WHERE j.over)
      INTO freed, ended FROM judged j;
    PERFORM wsup.release(ended);
    IF ended IS NOT NULL THEN
        PERFORM wsup.end_turns(ended);
    END IF;
    RETURN freed;
END
$$;

-- Frees a closed lane of `of` (ready, blocked, key_holder) of its dead rows. TRUNCATE works although a long transaction keeps vacuum
-- from it; what still lives in the lane moves first. Returns false when the lane is in use, is the
-- current one, or holds more than `most` jobs (a backlog is not worth copying).
CREATE FUNCTION wsup.sweep(lane integer, most integer, of text DEFAULT 'ready') RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms'
AS $$
DECLARE
    part CONSTANT regclass := format('wsup.%I', of || '_' || lane)::regclass;
    columns CONSTANT text := (
        SELECT string_agg(quote_ident(a.attname), ', ') FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = part AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'lane');
    other smallint;
    live  bigint;
BEGIN
    -- A snapshot older than the lock would not see the jobs that came in before the lock was given.
    IF lane = wsup.current_lane() OR current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN false;
    END IF;
    -- By what it has counted, the server knows of a backlog without looking through the lane.
    IF pg_stat_get_live_tuples(part) > 10 * most THEN
        RETURN false;
    END IF;
    -- A pull holds the lane for some milliseconds and is waited for. Who has held it for longer
    -- will not let go soon, and a lock that waits makes every later pull wait behind it.
    IF EXISTS (SELECT FROM pg_catalog.pg_locks l
                 JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
                WHERE l.relation = part AND l.pid <> pg_backend_pid()
                  AND a.xact_start < clock_timestamp() - interval '100 ms') THEN
        RETURN false;
    END IF;
    BEGIN
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', part);
    EXCEPTION WHEN lock_not_available THEN
        RETURN false;
    END;
    -- Read once: while the lock was waited for, this lane may have become the current one, and what
    -- is moved into it would be truncated.
    other := wsup.current_lane();
    EXECUTE format('SELECT count(*) FROM (SELECT FROM %s LIMIT %s) r', part, most + 1) INTO live;
    IF other = lane OR live > most THEN
        RETURN false;
    END IF;
    EXECUTE format('WITH moved AS (DELETE FROM %1$s RETURNING *)'
        ' INSERT INTO wsup.%2$I (lane, %3$s) SELECT $1, %3$s FROM moved', part, of, columns) USING other;
    EXECUTE format('TRUNCATE %s', part);
    RETURN true;
END
$$;

-- Has writers move on to a lane that is not among these, if there is one: a full lane that can't be
-- cleared, since a writer stays in it, would only grow.
CREATE FUNCTION wsup.next_lane("full" integer[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    FOR i IN 1..4 LOOP
        EXIT WHEN wsup.current_lane() <> ALL ("full");
        PERFORM nextval('wsup.lane_turn');
    END LOOP;
END
$$;

-- operators --------------------------------------------------------------------------------------

-- Where a job stands: ready, waiting, blocked, running, succeeded, failed, cancelled, expired; NULL if
-- there is no such job. Asked in the order in which a job moves, so that it isn't missed while it does.
CREATE FUNCTION wsup.status(job bigint) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    j record;  -- not all of the row: who may see where a job stands need not be shown its arguments
BEGIN
    SELECT id, queue, task, priority, key INTO j FROM wsup.job WHERE id = job;
    RETURN CASE
        WHEN j.id IS NULL THEN NULL
        ELSE coalesce(
            (SELECT o.state::text FROM wsup.outcome o WHERE o.job = status.job),
            (SELECT 'waiting' FROM wsup.waiting w WHERE w.job = status.job),
            (SELECT 'blocked' FROM wsup.child c WHERE c.job = status.job),
            (SELECT 'blocked' FROM wsup.blocked b
              WHERE b.key = j.key AND b.rank = -1 - j.priority AND b.job = status.job),
            (SELECT 'blocked' FROM wsup.blocked b WHERE b.job = status.job AND b.key < ' '),
            (SELECT 'ready' FROM wsup.ready r
              WHERE r.queue IN (j.queue, j.queue || E'\003' || j.task)
                AND r.rank = -1 - j.priority AND r.job = status.job LIMIT 1),
            (SELECT 'ready' FROM wsup.ready r WHERE r.real_job = status.job LIMIT 1),
            'running')
        END;
END
$$;

-- Runs finished jobs again that did not succeed, at their next attempt. One that has parents waits for
-- those that have not ended, or are run again, too.
CREATE FUNCTION wsup.retry(jobs bigint[]) RETURNS TABLE (job bigint, state text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    children bigint[];
    numbers  smallint[];
    keyed    bigint[];
    attempts smallint[];
    limited  CONSTANT boolean := EXISTS (SELECT FROM wsup.limits);
BEGIN
    WITH again AS (
        DELETE FROM wsup.outcome o
         WHERE o.job = ANY (retry.jobs) AND o.state <> 'succeeded'
        RETURNING o.job, o.attempt),
    -- A request to cancel it that came too late is not meant for this run.
    forgotten AS (DELETE FROM wsup.cancel_request q USING again a WHERE q.job = a.job),
    made AS (
        INSERT INTO wsup.ready (job, rank, attempt, lane, queue)
        SELECT j.id, -1 - j.priority, a.attempt + 1, wsup.current_lane(), j.queue
          FROM again a JOIN wsup.job j ON j.id = a.job WHERE j.after IS NULL AND j.key IS NULL AND NOT limited)
    SELECT array_agg(j.id) FILTER (WHERE j.after IS NOT NULL),
           array_agg(a.attempt + 1) FILTER (WHERE j.after IS NOT NULL),
           array_agg(j.id) FILTER (WHERE j.after IS NULL),
           array_agg(a.attempt + 1) FILTER (WHERE j.after IS NULL)
      INTO children, numbers, keyed, attempts
      FROM again a JOIN wsup.job j ON j.id = a.job
     WHERE j.after IS NOT NULL OR j.key IS NOT NULL OR limited;
    IF children IS NOT NULL THEN
        PERFORM wsup.hold_back(children, numbers);
    END IF;
    IF keyed IS NOT NULL THEN
        PERFORM wsup.line_up(keyed, attempts);
    END IF;
    RETURN QUERY SELECT u.id, wsup.status(u.id) FROM unnest(retry.jobs) AS u(id);
END
$$;
