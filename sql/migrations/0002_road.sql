-- The functions along the road of a job. The heavy ones carry planner settings of their own: a
-- plan made while a table was empty must still be right with a million rows, and a setting of the
-- session would not survive a transaction pooler. plpgsql, because it keeps a plan for the
-- session, where an SQL function would be planned anew at each call.

-- enqueue ----------------------------------------------------------------------------------------

-- Rows of `job` become ready or waiting, however they came in (INSERT, COPY, a user's trigger).
-- SECURITY DEFINER: who may ask for a job need not be able to touch the queue's own tables.
CREATE FUNCTION wsup.admit() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- One reading of the clock for both statements: a job due between two readings would be lost.
    at CONSTANT timestamptz := clock_timestamp();
    gates   CONSTANT text[]  := ARRAY(SELECT l.gate FROM wsup.limits l WHERE l.gate >= E'\0052');
    limited CONSTANT boolean := gates <> '{}';
BEGIN
    INSERT INTO wsup.ready (job, rank, attempt, lane, queue)
    SELECT n.id, -1 - n.priority, 1, l.last_value % 4, n.queue
      FROM wsup.lane_turn l, new_jobs n
     WHERE (n.run_at IS NULL OR n.run_at <= at) AND n.after IS NULL AND n.key IS NULL
       AND (NOT limited OR NOT ARRAY[E'\0052' || n.queue, E'\0053' || n.task] && gates);
    IF limited THEN
        PERFORM wsup.go_on(array_agg(n.id), NULL, '', false) FROM new_jobs n
         WHERE (n.run_at IS NULL OR n.run_at <= at) AND n.after IS NULL AND n.key IS NULL
           AND ARRAY[E'\0052' || n.queue, E'\0053' || n.task] && gates HAVING count(*) > 0;
    END IF;
    IF EXISTS (SELECT FROM new_jobs WHERE run_at > at OR after IS NOT NULL OR key IS NOT NULL) THEN
        INSERT INTO wsup.waiting (job, due_at, priority, attempt, queue, key)
        SELECT id, run_at, priority, 1, queue, key FROM new_jobs WHERE run_at > at AND after IS NULL;
        PERFORM wsup.hold_back(ARRAY(SELECT id FROM new_jobs WHERE after IS NOT NULL));
        IF EXISTS (SELECT FROM new_jobs WHERE key IS NOT NULL) THEN
            PERFORM wsup.line_up(ARRAY(
                SELECT id FROM new_jobs
                 WHERE key IS NOT NULL AND after IS NULL AND (run_at IS NULL OR run_at <= at)));
        END IF;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER admit AFTER INSERT ON wsup.job
    REFERENCING NEW TABLE AS new_jobs FOR EACH STATEMENT EXECUTE FUNCTION wsup.admit();
-- Or anybody could hang it on a table of their own, and make other people's jobs ready with it.
REVOKE EXECUTE ON FUNCTION wsup.admit() FROM PUBLIC;

-- The door for SQL, and for every client that enqueues one job.
CREATE FUNCTION wsup.enqueue(
    task     text,
    args     jsonb       DEFAULT '{}',
    queue    text        DEFAULT 'default',
    priority integer     DEFAULT 0,
    run_at   timestamptz DEFAULT NULL,
    delay    interval    DEFAULT NULL,
    retries  integer     DEFAULT NULL,
    timeout  real        DEFAULT NULL,     -- seconds
    -- Not started by then, it never is; at the deadline it is ended.
    expires  interval    DEFAULT NULL, expires_at  timestamptz DEFAULT NULL,
    deadline interval    DEFAULT NULL, deadline_at timestamptz DEFAULT NULL,
    -- While a job of this task with this key has not ended, or for `unique_for`, there is no other.
    unique_key  text     DEFAULT NULL,
    on_conflict text     DEFAULT 'skip',   -- or replace, raise
    unique_for  interval DEFAULT NULL,
    after    bigint[]    DEFAULT NULL,     -- not before these jobs have succeeded …
    after_lax bigint[]   DEFAULT NULL,     -- … and these have ended in whatever way
    on_parent_failure text DEFAULT 'cancel',
    key      text        DEFAULT NULL,
    key_limit integer    DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    made bigint;
    given json;
BEGIN
    IF task IS NULL OR task = '' OR queue IS NULL OR queue = '' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'wsup.enqueue: task and queue must be named';
    ELSIF jsonb_typeof(args) IS DISTINCT FROM 'object' THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'wsup.enqueue: args of %s must be a JSON object of the task''s arguments by name, not %s',
            task, coalesce(jsonb_typeof(args), 'NULL'));
    ELSIF run_at IS NOT NULL AND delay IS NOT NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = 'wsup.enqueue: give run_at or delay, not both';
    ELSIF priority IS NULL OR priority NOT BETWEEN -32768 AND 32767 THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'wsup.enqueue: priority %s is not between -32768 and 32767', priority);
    ELSIF retries NOT BETWEEN 0 AND 30000 THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'wsup.enqueue: retries %s is not between 0 and 30000', retries);
    ELSIF timeout <= 0 THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'wsup.enqueue: timeout %s is not above 0 seconds', timeout);
    ELSIF on_parent_failure IS NULL OR on_parent_failure NOT IN ('cancel', 'run') THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'wsup.enqueue: on_parent_failure %s is neither "cancel" nor "run"', on_parent_failure);
    ELSIF after && after_lax THEN
        RAISE invalid_parameter_value USING MESSAGE =
            'wsup.enqueue: a job is named in after and in after_lax: leave one of them out';
    ELSIF key = '' OR length(key) > 200 OR key < ' ' COLLATE "C" THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'wsup.enqueue: key %s must have 1 to 200 characters', quote_literal(left(key, 200)));
    ELSIF key_limit NOT BETWEEN 1 AND 32767 THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'wsup.enqueue: key_limit %s is not between 1 and 32767', key_limit);
    ELSIF key IS NULL AND key_limit IS NOT NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'wsup.enqueue: key_limit %s limits nothing: give a key', key_limit);
    END IF;
    run_at := coalesce(run_at, clock_timestamp() + delay);
    IF retries IS NOT NULL OR timeout IS NOT NULL THEN
        given := json_strip_nulls(json_build_object('retries', retries, 'timeout', timeout));
    END IF;
    IF num_nonnulls(expires, expires_at, deadline, deadline_at) > 0 THEN
        given := wsup.with_limits(given, run_at, expires, expires_at, deadline, deadline_at);
    END IF;
    IF key IS NOT NULL AND unique_key IS NOT NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'wsup.enqueue: give key %s or unique_key %s, not both', key, unique_key);
    ELSIF num_nonnulls(unique_key, unique_for) > 0 OR on_conflict IS DISTINCT FROM 'skip' THEN
        IF num_nonnulls(after, after_lax) > 0 THEN
            RAISE invalid_parameter_value USING MESSAGE =
                'wsup.enqueue: a job with a unique key can''t wait for others: leave one of them out';
        END IF;
        RETURN wsup.enqueue_unique(task, queue, priority, run_at, given, args::text, unique_key,
                                   on_conflict, unique_for);
    END IF;
    INSERT INTO wsup.job (run_at, priority, queue, task, args, options, key, key_limit, after, after_lax)
    VALUES (run_at, priority, queue, task, args, given, key, key_limit, nullif(after || after_lax, '{}'),
            nullif(CASE on_parent_failure WHEN 'run' THEN after || after_lax ELSE after_lax END, '{}'))
    RETURNING id INTO made;
    RETURN made;
END
$$;

-- Wakes the supervisors that sleep. NOTIFY takes a lock on the whole database at commit, so a busy
-- system must not send it: only who has said that it sleeps is called. A writer with a fixed
-- snapshot can't see who went to sleep since, so it always calls. Before that, jobs of queues in which
-- they age get their places.
CREATE FUNCTION wsup.wake_for_ready() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM wsup.queue_order o WHERE o.ageing IS NOT NULL) THEN
        PERFORM wsup.age(ARRAY(SELECT n.job FROM new_ready n WHERE n.real_job IS NULL));
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        IF EXISTS (SELECT FROM new_ready) THEN
            PERFORM pg_notify('wsup', '');
        END IF;
    ELSIF EXISTS (SELECT FROM wsup.sleeper) THEN
        PERFORM pg_notify('wsup_' || s.supervisor, '')
           FROM wsup.sleeper s
          WHERE EXISTS (SELECT FROM new_ready n WHERE n.queue = ANY (s.queues)
                           AND split_part(n.queue, E'\003', 1)
                               <> ALL (ARRAY(SELECT p.queue FROM wsup.paused_queue p)))
            -- Who lets others of a key in looks by itself.
            AND s.supervisor::text IS DISTINCT FROM current_setting('wsup.taker', true);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER wake AFTER INSERT ON wsup.ready
    REFERENCING NEW TABLE AS new_ready FOR EACH STATEMENT EXECUTE FUNCTION wsup.wake_for_ready();
REVOKE EXECUTE ON FUNCTION wsup.wake_for_ready() FROM PUBLIC;

-- A job that falls due before anybody would look must wake somebody who then sets a timer.
CREATE FUNCTION wsup.wake_for_waiting() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        IF EXISTS (SELECT FROM new_waiting) THEN
            PERFORM pg_notify('wsup', 'waiting');
        END IF;
    ELSE
        PERFORM pg_notify('wsup_' || s.supervisor, 'waiting')
           FROM wsup.sleeper s
          WHERE EXISTS (SELECT FROM new_waiting n
                         WHERE n.due_at < clock_timestamp() + s.look_every);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER wake AFTER INSERT ON wsup.waiting
    REFERENCING NEW TABLE AS new_waiting FOR EACH STATEMENT EXECUTE FUNCTION wsup.wake_for_waiting();
REVOKE EXECUTE ON FUNCTION wsup.wake_for_waiting() FROM PUBLIC;

-- pull -------------------------------------------------------------------------------------------

-- The one pull: up to `n` jobs of `queues`, by priority, then age, as one new claim a lane. First it
-- looks where there are any (the places: a queue in a lane); if in several, it counts how many of the
-- n come from which; then it takes exactly those. So the cost is O(n) however many jobs are ready.
-- With `wake`, the supervisor is no longer taken for asleep: said here, it costs no statement.
-- With `in_order`, keys that take turns do not pass them on: wsup.pull_by_turns does.
-- What is to be cancelled is dropped first: whatever has put it back into a lane, it never runs again.
--
-- What takes jobs out of a lane is written once and made four times, because a ctid means something
-- within one table only; and twice each, because nearly always all jobs are in one lane, and then
-- the call of another function would be a fifth of an idle system's pull.
DO $make$
DECLARE
    -- The first `counts[i]` jobs of `names[i]`, from the place in the lane's order on where the
    -- first one was seen: the dead rows before it need not be waded through once more. By ctid, so
    -- that no row is searched twice. A job whose request was deleted by hand is dropped. All in one
    -- statement, so that every part of it sees the same jobs.
    take CONSTANT text := $take$
        RETURN QUERY
        WITH locked AS MATERIALIZED (
            SELECT r.at FROM unnest(names, counts, ranks, firsts) AS want(queue, n, rank, job)
             CROSS JOIN LATERAL (
                SELECT s.ctid AS at FROM wsup.ready_%1$s s
                 WHERE s.queue = want.queue AND (s.rank, s.job) >= (want.rank, want.job)
                 ORDER BY s.rank, s.job LIMIT want.n
                   FOR UPDATE SKIP LOCKED) r),
        taken AS (
            DELETE FROM wsup.ready_%1$s d WHERE d.ctid = ANY (ARRAY(SELECT at FROM locked))
            RETURNING d.job AS place, coalesce(d.real_job, d.job) AS job, d.rank, d.attempt, d.key)
    $take$;
    -- What was taken becomes a claim. A key that stands in the row itself has no more to do with the job.
    claim CONSTANT text := $claim$,
        found AS MATERIALIZED (
            SELECT t.place, t.job, t.rank, t.attempt, j.task, j.queue, j.args,
                   CASE WHEN t.key IS NULL THEN j.key END AS key,
                   CASE WHEN j.after IS NULL THEN j.options
                        ELSE wsup.options_and_parents(j.id) END AS options
              FROM taken t JOIN wsup.job j ON j.id = t.job),
        claimed AS (
            INSERT INTO wsup.claim AS c (supervisor, jobs, retried, attempts, keyed)
            SELECT supervisor,
                   -- Nearly always without a gap: one range then says it all.
                   CASE WHEN max(f.job) - min(f.job) = count(*) - 1
                        THEN int8multirange(int8range(min(f.job), max(f.job) + 1))
                        ELSE (SELECT range_agg(int8range(g.job, g.job + 1)) FROM found g)
                   END,
                   array_agg(f.job) FILTER (WHERE f.attempt > 1),
                   array_agg(f.attempt) FILTER (WHERE f.attempt > 1),
                   CASE WHEN count(f.key) > 0
                          OR bool_or(f.task = ANY (ARRAY(SELECT l.name FROM wsup.limits l
                                                          WHERE l.kind = 'task' AND l.max_running > 0)))
                          OR bool_or(f.queue = ANY (ARRAY(SELECT l.name FROM wsup.limits l
                                                           WHERE l.kind = 'queue' AND l.max_running > 0)))
                        THEN true END
              FROM found f HAVING count(*) > 0
            RETURNING c.id, c.jobs)
        SELECT %2$s c.id, f.job, f.attempt, f.task, f.queue, f.args,
               -- Asked once; of each job only where some job from the first to the last has one.
               CASE WHEN (SELECT EXISTS (SELECT FROM claimed g JOIN wsup.checkpoint k
                             ON k.job >= lower(g.jobs) AND k.job < upper(g.jobs)))
                    THEN wsup.with_checkpoint(f.job, f.options) ELSE f.options END
          FROM claimed c, found f
         ORDER BY f.rank, f.place;
    $claim$;
    -- The first `most` in each of these lines (0015_fairness.sql).
    take_line CONSTANT text := $take$
        RETURN QUERY
        WITH locked AS MATERIALIZED (
            SELECT r.lane, r.at FROM unnest(keys) AS k(key)
             CROSS JOIN LATERAL (
                SELECT s.lane, s.ctid AS at FROM wsup.blocked s WHERE s.key = k.key
                 ORDER BY s.rank, s.job LIMIT most
                   FOR UPDATE SKIP LOCKED) r),
        gone AS MATERIALIZED (
            SELECT d.job, d.rank, d.attempt, d.key
              FROM wsup.leave_line(ARRAY(SELECT l.lane FROM locked l), ARRAY(SELECT l.at FROM locked l)) d),
        taken AS (
            SELECT g.job, g.rank, g.attempt, g.key,
                   -- First one of each, in the order of the keys, then the next of each.
                   cardinality(keys) * row_number() OVER (PARTITION BY g.key ORDER BY g.rank, g.job)
                   + ((SELECT jsonb_object_agg(k.key, k.nr)
                         FROM unnest(keys) WITH ORDINALITY AS k(key, nr)) -> g.key)::bigint AS place
              FROM gone g)
    $take$;
    -- The jobs that were handed over in this transaction (wsup.hand_on_serial).
    take_handed CONSTANT text := $take$
        RETURN QUERY
        WITH taken AS (
            SELECT h.job AS place, h.job, h.rank, h.attempt::smallint, NULL::text AS key
              FROM unnest(handed[1 : most], handed[most + 1 : 2 * most], handed[2 * most + 1 :])
                   AS h(job, rank, attempt))
    $take$;
    -- Of a place, the first jobs from the one on that was its first when it was last seen.
    from_place CONSTANT text := $from$
                (SELECT s.rank, s.job FROM wsup.ready_%1$s s
                  WHERE p.lane = %1$s AND s.queue = p.queue AND (s.rank, s.job) >= (p.rank, p.job)
                  ORDER BY s.rank, s.job LIMIT -- most --)$from$;
    pull text := $pull$
#variable_conflict use_column
DECLARE
    -- While some snapshot keeps the dead rows before the first jobs of a long backlog, a look at all
    -- takes long; then it is done for a tenth of the time only. In between, one looks into closed lanes
    -- from where the last pull found their first jobs. Nothing comes in before these but what does so
    -- while the lane is being closed: it may have to wait for some seconds. What the session remembers
    -- is true of the tables, so a pooler may lend the session to anybody.
    known CONSTANT jsonb := nullif(current_setting('wsup.places', true), '');
    until   double precision := known ->> 'until';           -- seconds since the epoch
    sparing CONSTANT boolean := coalesce(clock_timestamp() < to_timestamp(until), false);
    began   timestamptz;
    took    double precision;              -- seconds, for a look at all
    brought bigint;
    handed  CONSTANT bigint[] := nullif(current_setting('wsup.handed', true), '');
    -- The places, and the first job of each: what is before it is dead, and waded through once.
    lanes  integer[];
    names  text[];
    ranks  integer[];
    firsts bigint[];
    counts bigint[];
    by_turns boolean;
BEGIN
    IF wake THEN
        DELETE FROM wsup.sleeper s WHERE s.supervisor = pull.supervisor;
    END IF;
    IF EXISTS (SELECT FROM wsup.cancel_request) THEN
        PERFORM wsup.drop_cancelled();
    END IF;
    IF handed IS NOT NULL THEN
        PERFORM set_config('wsup.handed', '', true);
        RETURN QUERY SELECT * FROM wsup.take_handed(supervisor, handed, cardinality(handed) / 3);
        n := n - cardinality(handed) / 3;
        IF n = 0 THEN
            RETURN;
        END IF;
    END IF;
    IF sparing THEN
        SELECT array_agg(p.lane), array_agg(p.queue), array_agg(f.rank), array_agg(f.job),
               bool_or(p.queue = ANY (ARRAY(SELECT o.queue FROM wsup.queue_order o WHERE o.was_fair)))
          INTO lanes, names, ranks, firsts, by_turns
          FROM (SELECT k.*
                  FROM jsonb_to_record(known)
                           AS j(lanes integer[], names text[], ranks integer[], firsts bigint[]),
                       unnest(j.lanes, j.names, j.ranks, j.firsts) AS k(lane, queue, rank, job)
                 WHERE k.lane <> wsup.current_lane() AND k.queue = ANY (pull.queues)
                UNION ALL
                SELECT wsup.current_lane(), q.queue, -2147483648, -9223372036854775808
                  FROM unnest(pull.queues) AS q(queue)) p
         CROSS JOIN LATERAL (-- from a place on: 1 --) f
         WHERE split_part(p.queue, E'\003', 1) <> ALL (ARRAY(SELECT p.queue FROM wsup.paused_queue p));
    END IF;
    IF lanes IS NULL THEN
        began := clock_timestamp();
        SELECT array_agg(f.lane), array_agg(q.queue), array_agg(f.rank), array_agg(f.job),
               bool_or(q.queue = ANY (ARRAY(SELECT o.queue FROM wsup.queue_order o WHERE o.was_fair)))
          INTO lanes, names, ranks, firsts, by_turns
          FROM unnest(pull.queues) AS q(queue)
         CROSS JOIN LATERAL (
            (SELECT 0 AS lane, s.rank, s.job FROM wsup.ready_0 s
              WHERE s.queue = q.queue ORDER BY s.rank, s.job LIMIT 1)
            UNION ALL
            (SELECT 1, s.rank, s.job FROM wsup.ready_1 s
              WHERE s.queue = q.queue ORDER BY s.rank, s.job LIMIT 1)
            UNION ALL
            (SELECT 2, s.rank, s.job FROM wsup.ready_2 s
              WHERE s.queue = q.queue ORDER BY s.rank, s.job LIMIT 1)
            UNION ALL
            (SELECT 3, s.rank, s.job FROM wsup.ready_3 s
              WHERE s.queue = q.queue ORDER BY s.rank, s.job LIMIT 1)) f
         WHERE split_part(q.queue, E'\003', 1) <> ALL (ARRAY(SELECT p.queue FROM wsup.paused_queue p));
        took := extract(epoch FROM clock_timestamp() - began);
        until := extract(epoch FROM began) + least(10 * took, 10 * (known ->> 'took')::float8, 10);
    END IF;
    IF E'\001' = ANY (names) THEN          -- keys are marked: first, who has his turn becomes ready
        PERFORM set_config('wsup.taker', pull.supervisor::text, true);
        PERFORM wsup.work_off_marks();
        RETURN QUERY SELECT * FROM wsup.pull(supervisor, array_remove(queues, E'\001'), n);
        RETURN;
    END IF;
    IF lanes IS NULL THEN
        RETURN;
    ELSIF by_turns AND NOT in_order THEN
        RETURN QUERY SELECT * FROM wsup.pull_by_turns(supervisor, queues, n);
        RETURN;
    ELSIF cardinality(lanes) = 1 THEN
        counts := ARRAY[n];
    ELSE
        SELECT array_agg((SELECT count(*) FROM unnest(h.places) AS u(place) WHERE u.place = i)
                         ORDER BY i)
          INTO counts
          FROM generate_series(1, cardinality(lanes)) AS i,
               (SELECT array_agg(r.place) AS places FROM (
                    SELECT p.place
                      FROM unnest(lanes, names, ranks, firsts) WITH ORDINALITY
                           AS p(lane, queue, rank, job, place)
                     CROSS JOIN LATERAL (-- from a place on: pull.n --) j
                     ORDER BY j.rank, j.job LIMIT pull.n) r) h;
    END IF;
    IF lanes[1] = ALL (lanes) THEN
        CASE lanes[1]
        -- cases --
        END CASE;
    ELSE
        RETURN QUERY
        WITH lane AS MATERIALIZED (
            SELECT p.lane, array_agg(p.queue) AS q, array_agg(p.k) AS k,
                   array_agg(p.rank) AS r, array_agg(p.job) AS j
              FROM unnest(lanes, names, counts, ranks, firsts) AS p(lane, queue, k, rank, job)
             WHERE p.k > 0 GROUP BY p.lane)
        -- A lane without a place has no row here: it is not even asked.
        SELECT t.claim, t.job, t.attempt, t.task, t.queue, t.args, t.options FROM (
            SELECT t.* FROM lane l, wsup.take_0(pull.supervisor, l.q, l.k, l.r, l.j) t WHERE l.lane = 0
            UNION ALL
            SELECT t.* FROM lane l, wsup.take_1(pull.supervisor, l.q, l.k, l.r, l.j) t WHERE l.lane = 1
            UNION ALL
            SELECT t.* FROM lane l, wsup.take_2(pull.supervisor, l.q, l.k, l.r, l.j) t WHERE l.lane = 2
            UNION ALL
            SELECT t.* FROM lane l, wsup.take_3(pull.supervisor, l.q, l.k, l.r, l.j) t WHERE l.lane = 3) t
         ORDER BY t.rank, t.place;
    END IF;
    GET DIAGNOSTICS brought = ROW_COUNT;
    -- Not if it was somebody else who is sparing the time, with other queues.
    IF took IS NULL OR NOT sparing AND (known IS NOT NULL OR took >= 0.005) THEN
        PERFORM set_config('wsup.places', CASE
            -- Who doesn't get enough falls asleep, perhaps: before that he looks at all.
            WHEN brought < n OR took < 0.005 THEN ''
            -- Once proves nothing: this process may but have waited for a processor.
            WHEN known IS NULL THEN jsonb_build_object('took', took)::text
            ELSE jsonb_build_object(
                     'took', coalesce(took, (known ->> 'took')::float8), 'until', until,
                     'lanes', lanes, 'names', names, 'ranks', ranks, 'firsts', firsts)::text
            END, false);
    END IF;
END
    $pull$;
    cases text := '';
    from_places text := '';
BEGIN
    FOR lane IN 0..3 LOOP
        -- Called by wsup.pull alone, whose planner settings hold here, too.
        EXECUTE format($function$
            CREATE FUNCTION wsup.take_%s(supervisor integer, names text[], counts bigint[],
                                         ranks integer[], firsts bigint[])
            RETURNS TABLE (rank integer, place bigint, claim bigint, job bigint, attempt smallint, task text,
                           queue text, args json, options json)
            LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS %L $function$,
            lane, format(E'#variable_conflict use_column\nBEGIN%sEND',
                         format(take || claim, lane, 'f.rank, f.place,')));
        cases := cases || format('WHEN %s THEN %s', lane, format(take || claim, lane, ''));
        from_places := concat_ws(' UNION ALL', nullif(from_places, ''), format(from_place, lane));
    END LOOP;
    pull := replace(pull, '-- cases --', cases);
    pull := replace(pull, '-- from a place on: 1 --', replace(from_places, '-- most --', '1'));
    pull := replace(pull, '-- from a place on: pull.n --', replace(from_places, '-- most --', 'pull.n'));
    -- Called by wsup.pull_by_turns alone.
    EXECUTE format($function$
        CREATE FUNCTION wsup.take_line(supervisor integer, keys text[], most integer)
        RETURNS TABLE (claim bigint, job bigint, attempt smallint, task text, queue text,
                       args json, options json)
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS %L $function$,
        format(E'#variable_conflict use_column\nBEGIN%sEND', format(take_line || claim, '', '')));
    -- Called by wsup.pull alone.
    EXECUTE format($function$
        CREATE FUNCTION wsup.take_handed(supervisor integer, handed bigint[], most integer)
        RETURNS TABLE (claim bigint, job bigint, attempt smallint, task text, queue text,
                       args json, options json)
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS %L $function$,
        format(E'#variable_conflict use_column\nBEGIN%sEND', format(take_handed || claim, '', '')));
    EXECUTE format($function$
        CREATE FUNCTION wsup.pull(supervisor integer, queues text[], n integer,
                                  wake boolean DEFAULT false, in_order boolean DEFAULT false)
        RETURNS TABLE (claim bigint, job bigint, attempt smallint, task text, queue text,
                       args json, options json)
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
        SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off
        SET enable_hashjoin = off SET enable_mergejoin = off
        SET plan_cache_mode = force_generic_plan
        AS %L $function$, pull);
END
$make$;

-- commit -----------------------------------------------------------------------------------------

-- Settles what a supervisor has to say of the jobs it holds, whatever kind it is:
--   over_*     jobs that ended, one row in `outcome` each
--   back_*     jobs that run again: at once (delay NULL) or after `delay` seconds
--   fail_*     attempts that went wrong, of jobs among the two above
-- Only jobs still in their claim count, the claim being locked until the commit; the others were
-- given to somebody else, and what this supervisor says of them is dropped: `refused` is their number.
-- `passed` is that of the jobs whose turn has come by it (0013_keys.sql).
-- Nobody is waited for: claims that another transaction has locked, to finish a job itself perhaps,
-- are returned as `locked`, and what was said of their jobs is to be said again later.
-- Who speaks for several supervisors at once says for each job, of over_* and then back_*, whose it is
-- (`holders`), and is told the claims of the jobs refused (`late`).
-- Elements are taken by their subscript: in PL/pgSQL that costs less than to unnest eight arrays.
CREATE FUNCTION wsup.settle(
    supervisor integer,
    over_claim bigint[], over_job bigint[], over_attempt smallint[], over_state smallint[],
    over_seconds real[], over_subworker smallint[], over_result text[], over_reason text[],
    back_claim bigint[], back_job bigint[], back_attempt smallint[], back_delay real[],
    fail_claim bigint[], fail_job bigint[], fail_attempt smallint[], fail_subworker smallint[],
    fail_lost boolean[], fail_type text[], fail_message text[], fail_traceback text[],
    holders integer[] DEFAULT NULL,
    OUT refused bigint, OUT passed bigint, OUT locked bigint[], OUT late bigint[]
) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    -- The claims that are still there: what each held, and what is left of it.
    claims bigint[];
    holder integer[];
    held   int8multirange[];
    rest   int8multirange[];
    keyed  boolean;                        -- some of their jobs have a key
    accepted bigint;
    -- Claims that were locked when wsup.take_notes came by, in this transaction.
    skipped CONSTANT bigint[] := coalesce(nullif(current_setting('wsup.locked', true), ''), '{}');
BEGIN
    refused := cardinality(over_job) + cardinality(back_job);
    passed := 0;
    SELECT array_agg(l.id), array_agg(l.supervisor), array_agg(l.jobs),
           array_agg(l.jobs - l.settled), bool_or(l.keyed)
      INTO claims, holder, held, rest, keyed
      FROM (
        SELECT c.id, c.supervisor, c.jobs, s.settled, c.keyed
          FROM (SELECT u.claim, coalesce(u.holder, settle.supervisor) AS holder,
                       range_agg(int8range(u.job, u.job + 1)) AS settled
                  FROM unnest(over_claim || back_claim, over_job || back_job, holders)
                       AS u(claim, job, holder)
                 GROUP BY 1, 2) s
          JOIN wsup.claim c ON c.supervisor = s.holder AND c.id = s.claim
         WHERE NOT c.id = ANY (skipped)
           FOR UPDATE OF c SKIP LOCKED) l;

    INSERT INTO wsup.outcome
        (job, state, seconds, supervisor, subworker, attempt, result, reason)
    SELECT over_job[i],
           ('{succeeded,failed,cancelled,expired}'::wsup.outcome_state[])[over_state[i]],
           over_seconds[i], holder[h.n], over_subworker[i], over_attempt[i],
           over_result[i]::json, over_reason[i]
      -- Its claim is looked for in the array: a join would compare all jobs with all claims.
      FROM (SELECT i, array_position(claims, over_claim[i]) AS n
              FROM generate_subscripts(over_job, 1) AS i OFFSET 0) AS h
     WHERE held[h.n] @> over_job[i];
    GET DIAGNOSTICS accepted = ROW_COUNT;
    refused := refused - accepted;

    IF cardinality(back_job) > 0 THEN
        WITH back AS MATERIALIZED (
            SELECT j.id AS job, back_attempt[i] AS attempt, j.priority, j.queue, j.task, j.key,
                   -- After no time, what is not to stand in line again needn't wait at all.
                   CASE WHEN j.key IS NULL AND NOT EXISTS (SELECT FROM wsup.limits)
                        THEN nullif(back_delay[i], 0) ELSE back_delay[i] END AS delay
              FROM generate_subscripts(back_job, 1) AS i
              JOIN unnest(claims, held) AS h(claim, jobs)
                ON h.claim = back_claim[i] AND h.jobs @> back_job[i]
              JOIN wsup.job j ON j.id = back_job[i]),
        later AS (
            INSERT INTO wsup.waiting (job, due_at, priority, attempt, queue, key)
            SELECT b.job, clock_timestamp() + b.delay * interval '1 second', b.priority,
                   b.attempt, b.queue, b.key
              FROM back b WHERE b.delay IS NOT NULL),
        again AS (
            INSERT INTO wsup.ready (job, rank, attempt, lane, queue)
            SELECT b.job, -1 - b.priority, b.attempt, l.last_value % 4, wsup.stream(b.queue, b.task)
              FROM wsup.lane_turn l, back b WHERE b.delay IS NULL)
        SELECT count(*) INTO accepted FROM back;
        refused := refused - accepted;
    END IF;

    IF (SELECT s.is_called FROM wsup.dependency_used s) THEN
        PERFORM wsup.release(ARRAY(
            SELECT over_job[i] FROM generate_subscripts(over_job, 1) AS i
              JOIN unnest(claims, held) AS h(claim, jobs)
                ON h.claim = over_claim[i] AND h.jobs @> over_job[i]));
    END IF;

    IF cardinality(fail_job) > 0 THEN
        INSERT INTO wsup.failure
            (job, attempt, supervisor, subworker, lost, type, message, traceback)
        SELECT fail_job[i], fail_attempt[i], h.holder, fail_subworker[i], fail_lost[i],
               fail_type[i], fail_message[i], fail_traceback[i]
          FROM generate_subscripts(fail_job, 1) AS i
          JOIN unnest(claims, held, holder) AS h(claim, jobs, holder)
            ON h.claim = fail_claim[i] AND h.jobs @> fail_job[i];
    END IF;

    IF keyed THEN  -- after the children: one of the same key may be the next in its line
        PERFORM set_config('wsup.taker', supervisor::text, true);
        passed := wsup.end_turns(ARRAY(
            SELECT u.job
              FROM (SELECT over_claim[i] AS claim, over_job[i] AS job
                      FROM generate_subscripts(over_job, 1) AS i
                    UNION ALL
                    SELECT back_claim[i], back_job[i] FROM generate_subscripts(back_job, 1) AS i
                     WHERE back_delay[i] IS NOT NULL) u
              JOIN unnest(claims, held) AS h(claim, jobs)
                ON h.claim = u.claim AND h.jobs @> u.job));
    END IF;

    DELETE FROM wsup.claim c USING unnest(claims, rest, holder) AS r(claim, jobs, holder)
     WHERE c.supervisor = r.holder AND c.id = r.claim AND isempty(r.jobs);
    IF NOT '{}' = ALL (rest) THEN
        UPDATE wsup.claim c SET jobs = r.jobs
          FROM unnest(claims, rest, holder) AS r(claim, jobs, holder)
         WHERE c.supervisor = r.holder AND c.id = r.claim AND NOT isempty(r.jobs);
    END IF;

    -- A claim that was not there to be locked, and is there, was locked; if it isn't any more, whoever
    -- had locked it has emptied it, and none of these jobs was left in it.
    IF refused > 0 THEN
        SELECT array_agg(DISTINCT c.id), refused - count(*) INTO locked, refused
          FROM unnest(over_claim || back_claim, holders) AS u(claim, holder)
          JOIN wsup.claim c ON c.supervisor = coalesce(u.holder, settle.supervisor) AND c.id = u.claim
         WHERE NOT c.id = ANY (coalesce(claims, '{}'));
        IF holders IS NOT NULL THEN
            late := ARRAY(
                SELECT u.claim FROM unnest(over_claim || back_claim, over_job || back_job) AS u(claim, job)
                 WHERE NOT u.claim = ANY (coalesce(locked, '{}'))
                   AND NOT EXISTS (SELECT FROM unnest(claims, held) AS h(claim, jobs)
                                    WHERE h.claim = u.claim AND h.jobs @> u.job));
        END IF;
    END IF;
END
$$;
