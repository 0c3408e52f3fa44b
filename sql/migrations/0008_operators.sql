-- What operators do to queues, and to any number of jobs at once. Each is one statement; those for
-- jobs take their numbers, which `wsup.find_jobs` finds.

-- Queues of which no job is pulled, on any host. Their jobs may stand in `ready` all the same: a pull
-- goes by queue, so they cost it nothing.
CREATE TABLE wsup.paused_queue (
    queue     text COLLATE "C" PRIMARY KEY,
    paused_at timestamptz      NOT NULL DEFAULT clock_timestamp()
);

-- From the commit on, no pull takes a job of the queue, but for those that had begun before
-- (`wsup.pulls`). False if it was paused already.
CREATE FUNCTION wsup.pause_queue(queue text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF queue IS NULL OR queue = '' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'wsup.pause_queue: the queue must be named';
    END IF;
    INSERT INTO wsup.paused_queue VALUES (queue) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END
$$;

-- False if it was not paused. Everybody is told, not only who is asleep: an enqueueing transaction
-- that still saw the queue paused has woken nobody, so they must look who is writing, too.
CREATE FUNCTION wsup.resume_queue(queue text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF queue IS NULL OR queue = '' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'wsup.resume_queue: the queue must be named';
    END IF;
    DELETE FROM wsup.paused_queue p WHERE p.queue = resume_queue.queue;
    IF FOUND THEN
        PERFORM pg_notify('wsup', 'queue');
        RETURN true;
    END IF;
    RETURN false;
END
$$;

-- The transactions that may have looked which queues are paused, and may still be pulling. Who has
-- also read `migration` is a dump, who has written `job` is enqueueing: they may take long.
CREATE FUNCTION wsup.pulls() RETURNS text[]
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(DISTINCT l.virtualtransaction), '{}') FROM pg_locks l
     WHERE l.relation = 'wsup.paused_queue'::regclass AND l.mode = 'AccessShareLock'
       AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
       AND l.pid <> pg_backend_pid()
       AND NOT EXISTS (SELECT FROM pg_locks m
                        WHERE m.virtualtransaction = l.virtualtransaction
                          AND (m.relation = 'wsup.migration'::regclass
                               OR m.relation = 'wsup.job'::regclass
                                  AND m.mode = 'RowExclusiveLock'))
$$;

-- The jobs to which all that is said applies (NULL: anything), the newest `most` of them, and where
-- they stand. `since` and `before` are about when a job ended; if it has not, when it was enqueued.
-- `error` is the type of the exception that a job has failed with. `at` is when it ended, was taken,
-- or is due. One statement sees one moment, so a job that moves meanwhile is seen once. A branch whose
-- state isn't asked for is not run: the plan is made anew at each call.
CREATE FUNCTION wsup.find_jobs(
    jobs bigint[] DEFAULT NULL, states text[] DEFAULT NULL, queue text DEFAULT NULL,
    task text DEFAULT NULL, key text DEFAULT NULL, since timestamptz DEFAULT NULL,
    before timestamptz DEFAULT NULL, error text DEFAULT NULL, most bigint DEFAULT NULL
) RETURNS TABLE (job bigint, state text, attempt smallint, at timestamptz, seconds real)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH unfinished AS (
        (SELECT coalesce(r.real_job, r.job) AS job, 'ready' AS state, r.attempt, NULL::timestamptz AS at
           FROM wsup.ready r
          WHERE 'ready' = ANY (coalesce(find_jobs.states, '{ready}')) AND r.job > 0
            AND (find_jobs.queue IS NULL OR split_part(r.queue, E'\003', 1) = find_jobs.queue))
        UNION ALL
        (SELECT w.job, 'waiting', w.attempt, w.due_at
           FROM wsup.waiting w
          WHERE 'waiting' = ANY (coalesce(find_jobs.states, '{waiting}'))
            AND (find_jobs.queue IS NULL OR w.queue = find_jobs.queue))
        UNION ALL
        (SELECT c.job, 'blocked', c.attempt, NULL
           FROM wsup.child c
          WHERE 'blocked' = ANY (coalesce(find_jobs.states, '{blocked}')))
        UNION ALL
        (SELECT b.job, 'blocked', b.attempt, NULL
           FROM wsup.blocked b
          WHERE 'blocked' = ANY (coalesce(find_jobs.states, '{blocked}'))
            AND (find_jobs.queue IS NULL OR b.queue = find_jobs.queue)
            AND (find_jobs.key IS NULL OR b.key = find_jobs.key OR b.key < ' '))
        UNION ALL
        (SELECT n.job, 'running', coalesce(a.attempt, 1::smallint), c.claimed_at
           FROM wsup.claim c
          CROSS JOIN LATERAL unnest(c.jobs) AS s(span)
          CROSS JOIN LATERAL generate_series(lower(s.span), upper(s.span) - 1) AS n(job)
           LEFT JOIN LATERAL (SELECT u.attempt FROM unnest(c.retried, c.attempts) AS u(job, attempt)
                               WHERE u.job = n.job) a ON true
          WHERE 'running' = ANY (coalesce(find_jobs.states, '{running}'))))
    (SELECT u.job, u.state, u.attempt, u.at, NULL::real
       FROM unfinished u
      WHERE find_jobs.error IS NULL
        AND (find_jobs.jobs IS NULL OR u.job = ANY (find_jobs.jobs))
        AND (coalesce(find_jobs.queue, find_jobs.task, find_jobs.key) IS NULL
             AND coalesce(find_jobs.since, find_jobs.before) IS NULL
             OR EXISTS (SELECT FROM wsup.job j WHERE j.id = u.job
                           AND j.queue = coalesce(find_jobs.queue, j.queue)
                           AND j.task = coalesce(find_jobs.task, j.task)
                           AND (find_jobs.key IS NULL OR j.key = find_jobs.key)
                           AND j.enqueued_at >= coalesce(find_jobs.since, '-infinity')
                           AND j.enqueued_at < coalesce(find_jobs.before, 'infinity')))
      ORDER BY u.job DESC LIMIT find_jobs.most)
    UNION ALL
    (SELECT o.job, o.state::text, o.attempt, o.finished_at, o.seconds
       FROM wsup.outcome o
      WHERE coalesce(find_jobs.states, '{failed}') && '{succeeded,failed,cancelled,expired}'
        AND (find_jobs.states IS NULL OR o.state::text = ANY (find_jobs.states))
        AND (find_jobs.jobs IS NULL OR o.job = ANY (find_jobs.jobs))
        AND (find_jobs.since IS NULL OR o.finished_at >= find_jobs.since)
        AND (find_jobs.before IS NULL OR o.finished_at < find_jobs.before)
        AND (find_jobs.error IS NULL OR o.state = 'failed' AND find_jobs.error = (
                SELECT f.type FROM wsup.failure f WHERE f.job = o.job
                 ORDER BY f.attempt DESC, f.failed_at DESC LIMIT 1))
        AND (coalesce(find_jobs.queue, find_jobs.task, find_jobs.key) IS NULL
             OR EXISTS (SELECT FROM wsup.job j WHERE j.id = o.job
                           AND j.queue = coalesce(find_jobs.queue, j.queue)
                           AND j.task = coalesce(find_jobs.task, j.task)
                           AND (find_jobs.key IS NULL OR j.key = find_jobs.key)))
      ORDER BY o.job DESC LIMIT find_jobs.most)
    ORDER BY 1 DESC LIMIT find_jobs.most;
END
$$;

-- The failed jobs among `ids`, counted by task and by the type of what their last attempt ended with.
CREATE FUNCTION wsup.failed_jobs(ids bigint[])
RETURNS TABLE (task text, error text, jobs bigint, first_at timestamptz, last_at timestamptz,
               last_job bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT j.task, f.type, count(*), min(o.finished_at), max(o.finished_at), max(o.job)
      FROM wsup.outcome o
      JOIN wsup.job j ON j.id = o.job
      LEFT JOIN LATERAL (SELECT g.type FROM wsup.failure g WHERE g.job = o.job
                          ORDER BY g.attempt DESC, g.failed_at DESC LIMIT 1) f ON true
     WHERE o.job = ANY (ids) AND o.state = 'failed'
     GROUP BY j.task, f.type
     ORDER BY count(*) DESC, j.task, f.type;
END
$$;

-- Moves jobs that have not started to another queue, where they stand by their priority and age as
-- if they had been enqueued there. Tells for each 'moved', or where it stands. The request itself
-- changes here, and nowhere else: it says into which queue a job is put back.
CREATE FUNCTION wsup.move(jobs bigint[], queue text) RETURNS TABLE (job bigint, state text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET plan_cache_mode = force_custom_plan SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    changed bigint[];                      -- those that stand, or will, by another order
    held  bigint[];
    later bigint[];
    now   bigint[];
BEGIN
    IF move.queue IS NULL OR move.queue = '' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'wsup.move: the queue must be named';
    ELSIF EXISTS (SELECT FROM wsup.queue_order) THEN
        changed := wsup.move_in_order(jobs, queue);
    END IF;
    -- In the order in which a job moves: one that becomes ready meanwhile is then met there.
    WITH held AS MATERIALIZED (
        SELECT c.job FROM wsup.child c WHERE c.job = ANY (move.jobs) FOR UPDATE OF c),
    said AS (
        UPDATE wsup.job j SET queue = move.queue FROM held h
         WHERE j.id = h.job AND j.queue <> move.queue RETURNING j.id)
    SELECT array_agg(s.id) INTO held FROM said s;
    WITH moved AS (
        UPDATE wsup.waiting w SET queue = move.queue
         WHERE w.job = ANY (move.jobs) AND w.queue <> move.queue RETURNING w.job),
    said AS (
        UPDATE wsup.job j SET queue = move.queue FROM moved m WHERE j.id = m.job RETURNING j.id)
    SELECT array_agg(s.id) INTO later FROM said s;
    IF EXISTS (SELECT FROM wsup.limits) THEN
        later := later || wsup.move_limited(jobs, move.queue);
    END IF;
    WITH moved AS (
        UPDATE wsup.blocked b SET queue = move.queue FROM wsup.job j
         WHERE j.id = ANY (move.jobs) AND j.queue <> move.queue
           AND b.key = j.key AND b.rank = -1 - j.priority AND b.job = j.id RETURNING b.job),
    said AS (
        UPDATE wsup.job j SET queue = move.queue FROM moved m WHERE j.id = m.job RETURNING j.id)
    SELECT coalesce(later, '{}') || coalesce(array_agg(s.id), '{}') INTO later FROM said s;
    -- The last of a queue come first: pulls, which take from its front and skip what is locked, have
    -- nothing to skip before the very end. So no join may change the order, and each row is done with
    -- before the next. One that is just being taken is waited for, and then left alone.
    WITH wanted AS MATERIALIZED (
        SELECT j.id, j.queue, j.priority FROM wsup.job j
         WHERE j.id = ANY (move.jobs) AND j.queue <> move.queue
         ORDER BY j.priority, j.id DESC),
    moved AS (
        UPDATE wsup.ready r SET queue = move.queue FROM wanted q
         WHERE r.queue = q.queue AND r.rank = -1 - q.priority AND r.job = q.id
        RETURNING r.job),
    said AS (
        UPDATE wsup.job j SET queue = move.queue FROM moved m WHERE j.id = m.job RETURNING j.id)
    SELECT array_agg(s.id) INTO now FROM said s;
    now := now || changed;
    IF now IS NOT NULL THEN
        PERFORM pg_notify('wsup', 'queue');  -- the trigger that wakes sleepers heeds new rows only
    END IF;
    RETURN QUERY
    SELECT u.id, CASE WHEN u.id = ANY (held || later || now) THEN 'moved'
                      ELSE wsup.status(u.id) END
      FROM unnest(move.jobs) AS u(id);
END
$$;

-- Asks for a finished job once more, as a new job, with other arguments if some are given: what was
-- asked for first, and what came of it, stays as it was. The new one's options name the old one.
CREATE FUNCTION wsup.rerun(job bigint, args json DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    state text := wsup.status(rerun.job);
    made  bigint;
BEGIN
    IF state IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'wsup.rerun: job %s: there is no such job', rerun.job);
    ELSIF state IN ('ready', 'waiting', 'blocked', 'running') THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'wsup.rerun: job %s is %s: only a finished job is run once more', rerun.job, state);
    ELSIF json_typeof(rerun.args) <> 'object' THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'wsup.rerun: args of job %s must be a JSON object of the task''s arguments by name, not %s',
            rerun.job, json_typeof(rerun.args));
    END IF;
    INSERT INTO wsup.job (priority, queue, task, key, key_limit, args, options)
    SELECT j.priority, j.queue, j.task, j.key, j.key_limit, coalesce(rerun.args, j.args),
           coalesce(j.options::jsonb - '{expires,deadline}'::text[], '{}')  -- moments, now past
           || jsonb_build_object('rerun_of', j.id)
      FROM wsup.job j WHERE j.id = rerun.job
    RETURNING id INTO made;
    RETURN made;
END
$$;

CREATE INDEX unique_key_job ON wsup.unique_key (job);

-- Removes all that is stored of jobs that stand nowhere any more: their outcomes, which tell that they
-- are over, have been deleted by the caller, so nobody can run them again. Every table whose rows hang
-- on a job has its line here. Such jobs are neighbours, so a range of numbers is read rather than each
-- of them searched.
CREATE FUNCTION wsup.forget(jobs bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    lo bigint;
    hi bigint;
BEGIN
    SELECT min(u.id), max(u.id) INTO lo, hi FROM unnest(jobs) AS u(id);
    DELETE FROM wsup.failure t USING unnest(jobs) AS u(id)
     WHERE t.job = u.id AND t.job BETWEEN lo AND hi;
    DELETE FROM wsup.progress t USING unnest(jobs) AS u(id)
     WHERE t.job = u.id AND t.job BETWEEN lo AND hi;
    DELETE FROM wsup.checkpoint t USING unnest(jobs) AS u(id)
     WHERE t.job = u.id AND t.job BETWEEN lo AND hi;
    DELETE FROM wsup.log t USING unnest(jobs) AS u(id)
     WHERE t.job = u.id AND t.job BETWEEN lo AND hi;
    -- A key may count for longer than its job is kept, and may be in the hands of an open transaction.
    DELETE FROM wsup.unique_key t WHERE t.ctid = ANY (ARRAY(
        SELECT k.ctid FROM wsup.unique_key k JOIN unnest(jobs) AS u(id) ON k.job = u.id
         WHERE k.job BETWEEN lo AND hi AND (k.until IS NULL OR k.until <= clock_timestamp())
           FOR UPDATE OF k SKIP LOCKED));
    DELETE FROM wsup.cancel_request t USING unnest(jobs) AS u(id)
     WHERE t.job = u.id AND t.job BETWEEN lo AND hi;
    DELETE FROM wsup.job t USING unnest(jobs) AS u(id)
     WHERE t.id = u.id AND t.id BETWEEN lo AND hi;
END
$$;

-- Removes jobs for good: those that have ended, and with `unstarted` those that have not started, but
-- for those that others wait for. Tells for each 'purged', or where it stands.
CREATE FUNCTION wsup.purge(jobs bigint[], unstarted boolean DEFAULT false)
RETURNS TABLE (job bigint, state text) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    gone bigint[];
BEGIN
    -- Whoever has deleted the row that says where a job stands has that job.
    WITH over AS (
        DELETE FROM wsup.outcome o
         WHERE o.job = ANY (purge.jobs) AND o.job <> ALL (wsup.needed()) RETURNING o.job)
    SELECT coalesce(array_agg(o.job), '{}') INTO gone FROM over o;
    IF unstarted THEN
        gone := gone || wsup.withdraw(purge.jobs);
    END IF;
    PERFORM wsup.forget(gone);
    RETURN QUERY
    SELECT u.id, CASE WHEN u.id = ANY (gone) THEN 'purged' ELSE wsup.status(u.id) END
      FROM unnest(purge.jobs) AS u(id);
END
$$;

-- Takes jobs that have not started, and that no other waits for, from where they stand; returns which.
-- In the order, and for the reasons, of `wsup.move`.
CREATE FUNCTION wsup.withdraw(jobs bigint[]) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET plan_cache_mode = force_custom_plan SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    free  bigint[] := ARRAY(
        SELECT u.id FROM unnest(withdraw.jobs) AS u(id)
         WHERE NOT EXISTS (SELECT FROM wsup.dependency d WHERE d.parent = u.id));
    held  bigint[];
    later bigint[];
    now   bigint[];
BEGIN
    WITH gone AS (DELETE FROM wsup.child c WHERE c.job = ANY (free) RETURNING c.job)
    SELECT array_agg(g.job) INTO held FROM gone g;
    DELETE FROM wsup.dependency d WHERE d.child = ANY (held);
    WITH gone AS (DELETE FROM wsup.waiting w WHERE w.job = ANY (free) RETURNING w.job)
    SELECT array_agg(g.job) INTO later FROM gone g;
    WITH gone AS (
        DELETE FROM wsup.blocked b USING wsup.job j
         WHERE j.id = ANY (free)
           AND b.key = ANY (wsup.lines(j.key, j.queue, j.task))
           AND b.rank = -1 - j.priority AND b.job = j.id RETURNING b.job)
    SELECT coalesce(later, '{}') || coalesce(array_agg(g.job), '{}') INTO later FROM gone g;
    WITH wanted AS MATERIALIZED (
        SELECT j.id, j.queue, j.task, j.priority FROM wsup.job j WHERE j.id = ANY (free)
         ORDER BY j.priority, j.id DESC),
    gone AS (
        DELETE FROM wsup.ready r USING wanted q
         WHERE r.queue IN (q.queue, q.queue || E'\003' || q.task)
           AND r.rank = -1 - q.priority AND r.job = q.id
        RETURNING r.job)
    SELECT array_agg(g.job) INTO now FROM gone g;
    now := now || ARRAY(SELECT u.job FROM wsup.uproot(free) u);
    PERFORM wsup.end_turns(now || later, false);
    RETURN coalesce(held || later || now, '{}');
END
$$;
