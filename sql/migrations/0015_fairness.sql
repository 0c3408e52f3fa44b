-- In which order the jobs of a queue start, if not by priority and age alone. In a fair queue the keys
-- take turns: of each, one job stands in `ready`, behind all that was there before; the pull that takes
-- it lets the next one in. In a queue with ageing, a job rises by one priority for each such time.
--
-- All of that is decided when a job gets its place, which is its (rank, job) in `ready`: the pull goes
-- by places as ever. Where the place says another number than the job's, or another rank than its
-- priority's, `real_job` names the job.

CREATE TABLE wsup.queue_order (
    queue    text COLLATE "C" PRIMARY KEY,
    fair     boolean NOT NULL DEFAULT false,
    ageing   interval,                     -- NULL: jobs don't age
    app      text,                         -- whose code says so; NULL: nobody's
    was_fair boolean NOT NULL DEFAULT false  -- some of its jobs may stand by turns, fair or not by now
);

ALTER TABLE wsup.ready ADD COLUMN real_job bigint;
DO $lanes$
BEGIN
    FOR lane IN 0..3 LOOP
        EXECUTE format('CREATE INDEX ready_%1$s_real_job ON wsup.ready_%1$s (real_job)'
            ' WHERE real_job IS NOT NULL', lane);
    END LOOP;
END
$lanes$;

-- The line of those in a fair queue that have a key, and no limit with it. Nothing that a key can begin
-- with sorts before a blank.
CREATE FUNCTION wsup.line_of(queue text, key text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT E'\002' || queue || E'\002' || key $$;
CREATE INDEX blocked_by_turns ON wsup.blocked (job) WHERE key < ' ';

-- ageing -----------------------------------------------------------------------------------------

-- The rank of a job that has been waiting since then: a time from which each priority takes off
-- `ageing`, so that the order of two jobs never changes while they wait. In quarters of `ageing`; those
-- in the same quarter go by their numbers. Above the rank of whatever doesn't age.
CREATE FUNCTION wsup.aged_rank(ageing interval, priority integer, since timestamptz) RETURNS integer
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT greatest(100000, least(2147483647,
        262144 - 4 * priority::bigint
        + floor(4 * extract(epoch FROM since - timestamptz '2026-01-01 00:00:00+00')
                / extract(epoch FROM ageing))))::integer
$$;

-- The rank of a job whose turn has come just now.
CREATE FUNCTION wsup.rank_now(job bigint) RETURNS integer
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT wsup.aged_rank(o.ageing, j.priority, clock_timestamp())
      FROM wsup.job j JOIN wsup.queue_order o ON o.queue = j.queue WHERE j.id = rank_now.job
$$;

-- Gives jobs that were just put into `ready` by their priority the place that they have by their age.
CREATE FUNCTION wsup.age(jobs bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    UPDATE wsup.ready r
       SET rank = wsup.aged_rank(o.ageing, j.priority, greatest(j.enqueued_at, j.run_at)),
           real_job = j.id
      FROM unnest(jobs) AS u(job)
      JOIN wsup.job j ON j.id = u.job
      JOIN wsup.queue_order o ON o.queue = j.queue
     WHERE o.ageing IS NOT NULL AND r.queue = j.queue AND r.rank = -1 - j.priority AND r.job = j.id;
END
$$;

-- turns ------------------------------------------------------------------------------------------

-- Puts those jobs into lines, and marks these, that take turns in their queue; the others come back.
CREATE FUNCTION wsup.line_up_by_turns(jobs bigint[], attempts smallint[],
                                      OUT others bigint[], OUT numbers smallint[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    keys text[];
BEGIN
    WITH asked AS MATERIALIZED (
        SELECT j.id, j.priority, j.queue, j.key, o.ageing, greatest(j.enqueued_at, j.run_at) AS since,
               line_up_by_turns.attempts[u.nr] AS attempt,
               coalesce(o.fair AND j.key_limit IS NULL
                        AND NOT EXISTS (SELECT FROM wsup.key_limit l WHERE l.key = j.key), false) AS turns
          FROM unnest(line_up_by_turns.jobs) WITH ORDINALITY AS u(job, nr)
          JOIN wsup.job j ON j.id = u.job
          LEFT JOIN wsup.queue_order o ON o.queue = j.queue),
    put AS (
        INSERT INTO wsup.blocked AS b (job, rank, attempt, key_limit, lane, key, queue)
        SELECT a.id, CASE WHEN a.ageing IS NULL THEN -1 - a.priority
                          ELSE wsup.aged_rank(a.ageing, a.priority, a.since) END,
               coalesce(a.attempt, 1::smallint), 1, l.last_value % 4, wsup.line_of(a.queue, a.key), a.queue
          FROM wsup.lane_turn l, asked a WHERE a.turns
        RETURNING b.key)
    SELECT array_agg(a.id) FILTER (WHERE NOT a.turns),
           CASE WHEN line_up_by_turns.attempts IS NOT NULL
                THEN array_agg(a.attempt) FILTER (WHERE NOT a.turns) END,
           (SELECT array_agg(DISTINCT p.key) FROM put p)
      INTO others, numbers, keys FROM asked a;
    PERFORM wsup.mark_keys(keys);
END
$$;

-- The pull, where keys take turns: those whose jobs are taken let in the next ones, behind all others;
-- if there is room for more, these are next. Where `ready` has run dry, only the lines of those keys are
-- left, and first give as many each as there is room for: so a key that is alone gets all, and hardly
-- any of that passes through `ready`.
CREATE FUNCTION wsup.pull_by_turns(supervisor integer, queues text[], n integer)
RETURNS TABLE (claim bigint, job bigint, attempt smallint, task text, queue text,
               args json, options json)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    rounds CONSTANT integer := 5;          -- a bound; nearly always there are two
    short integer := n;
    taken bigint[];
    keys  text[];
    turns bigint[];
    lines text[];
BEGIN
    FOR round IN 1 .. rounds LOOP
        taken := '{}';
        FOR claim, job, attempt, task, queue, args, options IN
            SELECT p.* FROM wsup.pull(supervisor, queues, short, in_order => true) p
        LOOP
            taken := taken || job;
            RETURN NEXT;
        END LOOP;
        short := short - cardinality(taken);
        WITH spent AS (
            DELETE FROM wsup.key_holder h
             USING unnest(taken) WITH ORDINALITY AS u(job, nr) JOIN wsup.job j ON j.id = u.job
             WHERE h.key = wsup.line_of(j.queue, j.key) AND h.job = j.id
            RETURNING h.key, u.nr)
        -- In the order in which they had their turns: so they have the next ones.
        SELECT array_agg(s.key ORDER BY s.nr), array_agg(s.n ORDER BY s.nr) INTO keys, turns
          FROM (SELECT g.key, min(g.nr) AS nr, count(*) AS n FROM spent g GROUP BY g.key) s;
        EXIT WHEN keys IS NULL;
        -- Who may go to sleep after this is called for what it lets in, as the others are.
        PERFORM set_config('wsup.taker', CASE WHEN short > 0 THEN '' ELSE supervisor::text END, true);
        lines := keys;
        IF short > 0 THEN
            lines := ARRAY(SELECT k.key FROM unnest(keys) AS k(key)
                            WHERE EXISTS (SELECT FROM wsup.blocked b WHERE b.key = k.key));
        END IF;
        IF lines = '{}' THEN
            PERFORM wsup.look_again(keys);
            CONTINUE;
        END IF;
        -- What another one is just taking is still seen: it is not the turn of these keys again.
        EXIT WHEN short > 0 AND EXISTS (SELECT FROM wsup.ready r WHERE r.queue = ANY (queues))
              AND wsup.hand_on(keys, turns) IS NOT NULL;
        IF short >= cardinality(lines) THEN
            FOR claim, job, attempt, task, queue, args, options IN
                SELECT p.* FROM wsup.take_line(supervisor, lines, short / cardinality(lines)) p
            LOOP
                short := short - 1;
                RETURN NEXT;
            END LOOP;
        END IF;
        PERFORM wsup.hand_on(keys, turns);
        EXIT WHEN short <= 0;
    END LOOP;
END
$$;

-- Takes jobs from where they stand by another order than that of priority and number; whose turn it
-- was, its key is marked. Who doesn't want to `wait` leaves alone what another one holds.
CREATE FUNCTION wsup.uproot(jobs bigint[], wait boolean DEFAULT true)
RETURNS TABLE (job bigint, attempt smallint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    wanted bigint[] := jobs;
    ended  bigint[];
BEGIN
    IF NOT EXISTS (SELECT FROM wsup.queue_order) THEN
        RETURN;
    ELSIF NOT wait THEN
        wanted := ARRAY(SELECT b.job FROM unnest(jobs) AS u(job)
                          JOIN wsup.blocked b ON b.job = u.job AND b.key < ' '
                           FOR UPDATE OF b SKIP LOCKED)
               || ARRAY(SELECT r.real_job FROM unnest(jobs) AS u(job)
                          JOIN wsup.ready r ON r.real_job = u.job FOR UPDATE OF r SKIP LOCKED);
    END IF;
    -- In the order in which a job moves; and the last of a queue first, so that pulls have few to skip.
    RETURN QUERY
    DELETE FROM wsup.blocked b USING unnest(wanted) AS u(job)
     WHERE b.job = u.job AND b.key < ' ' RETURNING b.job, b.attempt;
    FOR job, attempt IN
        WITH last AS MATERIALIZED (SELECT u.job FROM unnest(wanted) AS u(job) ORDER BY u.job DESC)
        DELETE FROM wsup.ready r USING last l WHERE r.real_job = l.job RETURNING r.real_job, r.attempt
    LOOP
        ended := ended || job;
        RETURN NEXT;
    END LOOP;
    PERFORM wsup.end_turns_in_queue(ended);
END
$$;

-- These jobs, which were ready, no longer are: their turns have ended, and their keys are marked.
CREATE FUNCTION wsup.end_turns_in_queue(jobs bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    keys text[];
BEGIN
    WITH spent AS (
        DELETE FROM wsup.key_holder h
         USING unnest(end_turns_in_queue.jobs) AS u(job) JOIN wsup.job j ON j.id = u.job
         WHERE h.key = wsup.line_of(j.queue, j.key) AND h.job = j.id
        RETURNING h.key)
    SELECT array_agg(DISTINCT s.key) INTO keys FROM spent s;
    PERFORM wsup.mark_keys(keys);
END
$$;

-- operators --------------------------------------------------------------------------------------

-- Moves jobs from a queue with an order of its own, or into one; of those that stand in line or are
-- ready. Returns which. A limited key's job that has its turn keeps it.
CREATE FUNCTION wsup.move_in_order(jobs bigint[], queue text) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET plan_cache_mode = force_custom_plan SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    ordered CONSTANT text[] := ARRAY(SELECT o.queue FROM wsup.queue_order o);
    wanted  bigint[] := ARRAY(
        SELECT j.id FROM wsup.job j
         WHERE j.id = ANY (move_in_order.jobs) AND j.queue <> move_in_order.queue
           AND (j.queue = ANY (ordered) OR move_in_order.queue = ANY (ordered)));
    moved   bigint[];
    numbers smallint[];
BEGIN
    WITH gone AS (
        DELETE FROM wsup.blocked b USING wsup.job j
         WHERE j.id = ANY (wanted) AND b.key = j.key AND b.rank = -1 - j.priority AND b.job = j.id
        RETURNING b.job, b.attempt)
    SELECT array_agg(g.job), array_agg(g.attempt) INTO moved, numbers FROM gone g;
    SELECT moved || array_agg(t.job), numbers || array_agg(t.attempt)
      INTO moved, numbers FROM wsup.uproot(wanted) t;
    WITH last AS MATERIALIZED (
        SELECT j.id, j.queue, j.priority FROM wsup.job j WHERE j.id = ANY (wanted)
         ORDER BY j.priority, j.id DESC),
    gone AS (
        DELETE FROM wsup.ready r USING last l
         WHERE r.queue = l.queue AND r.rank = -1 - l.priority AND r.job = l.id
        RETURNING r.job, r.attempt)
    SELECT moved || array_agg(g.job), numbers || array_agg(g.attempt) INTO moved, numbers FROM gone g;
    UPDATE wsup.job j SET queue = move_in_order.queue WHERE j.id = ANY (moved);
    PERFORM wsup.stand_anew(moved, numbers);
    RETURN moved;
END
$$;

-- Where jobs stand that were taken from `ready` or `blocked`: ready, or in line if they have a key and
-- hold no turn of it.
CREATE FUNCTION wsup.stand_anew(jobs bigint[], attempts smallint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET plan_cache_mode = force_custom_plan SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    keyed   bigint[];
    numbers smallint[];
BEGIN
    WITH found AS MATERIALIZED (
        SELECT j.id, j.priority, j.queue, u.attempt,
               j.key IS NULL OR EXISTS (SELECT FROM wsup.key_holder h
                                         WHERE h.key = j.key AND h.job = j.id) AS free
          FROM unnest(jobs, attempts) AS u(job, attempt) JOIN wsup.job j ON j.id = u.job),
    made AS (
        INSERT INTO wsup.ready (job, rank, attempt, lane, queue)
        SELECT f.id, -1 - f.priority, f.attempt, l.last_value % 4, f.queue
          FROM wsup.lane_turn l, found f WHERE f.free)
    SELECT array_agg(f.id), array_agg(f.attempt) INTO keyed, numbers FROM found f WHERE NOT f.free;
    IF keyed IS NOT NULL THEN
        PERFORM wsup.line_up(keyed, numbers);
    END IF;
END
$$;

-- Puts jobs that stand in line into the line in which they would be if they came now.
CREATE FUNCTION wsup.line_up_anew(jobs bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET plan_cache_mode = force_custom_plan SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    moved   bigint[];
    numbers smallint[];
BEGIN
    WITH held AS MATERIALIZED (
        SELECT b.key, b.rank, b.job FROM wsup.blocked b WHERE b.job = ANY (line_up_anew.jobs)
           FOR UPDATE SKIP LOCKED),
    gone AS (
        DELETE FROM wsup.blocked b USING held h
         WHERE b.key = h.key AND b.rank = h.rank AND b.job = h.job
        RETURNING b.job, b.attempt)
    SELECT array_agg(g.job), array_agg(g.attempt) INTO moved, numbers FROM gone g;
    IF moved IS NOT NULL THEN
        PERFORM wsup.line_up(moved, numbers);
    END IF;
END
$$;

-- Gives all jobs of a queue that wait there the places that they would have if they came now. Those
-- whose transaction is still open stand as they were enqueued: they, too, are found, sooner or later.
CREATE FUNCTION wsup.arrange_queue(queue text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET plan_cache_mode = force_custom_plan SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
BEGIN
    PERFORM wsup.line_up_anew(ARRAY(
        SELECT b.job FROM wsup.blocked b WHERE b.queue = arrange_queue.queue));
    WITH held AS MATERIALIZED (
        SELECT r.lane, r.rank, r.job, coalesce(r.real_job, r.job) AS real_job
          FROM wsup.ready r WHERE r.queue = arrange_queue.queue
         ORDER BY r.rank DESC, r.job DESC FOR UPDATE SKIP LOCKED)
    UPDATE wsup.ready r
       SET rank = CASE WHEN o.ageing IS NULL THEN -1 - j.priority
                       WHEN h.real_job <> h.job THEN wsup.rank_now(j.id)
                       ELSE wsup.aged_rank(o.ageing, j.priority, greatest(j.enqueued_at, j.run_at)) END,
           real_job = CASE WHEN o.ageing IS NOT NULL OR h.real_job <> h.job THEN j.id END
      FROM held h JOIN wsup.job j ON j.id = h.real_job
      JOIN wsup.queue_order o ON o.queue = j.queue
     WHERE r.lane = h.lane AND r.queue = o.queue AND r.rank = h.rank AND r.job = h.job;
END
$$;

-- Sets the order of a queue; what is NULL stays as it is, an ageing of 0 is none. Jobs that are there
-- get their places anew. Returns whether anything is different now.
CREATE FUNCTION wsup.set_queue(queue text, fair boolean DEFAULT NULL, ageing interval DEFAULT NULL)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    IF queue IS NULL OR queue = '' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'wsup.set_queue: the queue must be named';
    ELSIF ageing <> interval '0' AND ageing NOT BETWEEN interval '1 second' AND interval '365 days' THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'wsup.set_queue: ageing %s of queue %s is not between 1 second and 365 days; 0 is none',
            ageing, queue);
    END IF;
    INSERT INTO wsup.queue_order AS o (queue, fair, ageing, was_fair)
    VALUES (queue, coalesce(fair, false), nullif(ageing, interval '0'), coalesce(fair, false))
        ON CONFLICT ON CONSTRAINT queue_order_pkey DO UPDATE
       SET fair = coalesce(set_queue.fair, o.fair), was_fair = o.was_fair OR excluded.fair,
           ageing = CASE WHEN set_queue.ageing IS NULL THEN o.ageing ELSE excluded.ageing END
     WHERE (o.fair, o.ageing) IS DISTINCT FROM
           (coalesce(set_queue.fair, o.fair),
            CASE WHEN set_queue.ageing IS NULL THEN o.ageing ELSE excluded.ageing END);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM wsup.arrange_queue(queue);
    RETURN true;
END
$$;

-- Makes the orders of queues what an app's code says: sets them where they are others, and resets those
-- that this app no longer names. Returns what has changed.
CREATE FUNCTION wsup.define_queues(app text, names text[], fairs boolean[], ageings double precision[])
RETURNS TABLE (name text, change text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    one record;
BEGIN
    IF cardinality(names) = 0
       AND NOT EXISTS (SELECT FROM wsup.queue_order o WHERE o.app = define_queues.app) THEN
        RETURN;
    END IF;
    LOCK TABLE wsup.queue_order IN SHARE ROW EXCLUSIVE MODE;  -- two apps may name the same queues
    FOR one IN
        SELECT w.name, w.fair, w.ageing, define_queues.app AS app
          FROM unnest(names, fairs, ageings) AS w(name, fair, ageing)
        UNION ALL
        SELECT o.queue, false, 0, NULL FROM wsup.queue_order o
         WHERE o.app = define_queues.app AND o.queue <> ALL (names)
         ORDER BY 1
    LOOP
        IF wsup.set_queue(one.name, one.fair, one.ageing * interval '1 second') THEN
            RETURN QUERY SELECT one.name, CASE WHEN one.app IS NULL THEN 'reset' ELSE 'set' END;
        END IF;
        UPDATE wsup.queue_order o SET app = one.app
         WHERE o.queue = one.name AND o.app IS DISTINCT FROM one.app;
    END LOOP;
END
$$;
