-- Jobs that wait for other jobs, their parents. Such a child stands in `child` until each of them has
-- ended; `dependency` holds what it still waits for. Whoever ends a job tells its children in the same
-- transaction (wsup.release). What a transaction can't see or must not wait for, it leaves as a loose
-- end, which the supervisors' turns tie up (wsup.tie_up). Jobs without parents are in none of these.

-- What a job was asked to wait for: all of its parents, in their order …
ALTER TABLE wsup.job ADD COLUMN after bigint[];
-- … and those of them that may end in whatever way.
ALTER TABLE wsup.job ADD COLUMN after_lax bigint[];

-- The jobs that wait for others. Who holds the row decides what becomes of the job.
CREATE TABLE wsup.child (
    job     bigint   PRIMARY KEY,
    attempt smallint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

-- What they still wait for. A row is removed only by who holds the child's.
CREATE TABLE wsup.dependency (
    parent bigint  NOT NULL,
    child  bigint  NOT NULL,
    lax    boolean NOT NULL,
    PRIMARY KEY (parent, child)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
CREATE INDEX dependency_child ON wsup.dependency (child, parent);

-- Whether there was ever a child: until then, no end of a job looks for any. A sequence, because a look
-- at an empty table may have to wade through all that was ever in it.
CREATE SEQUENCE wsup.dependency_used AS bigint;

-- What is to be looked at again: a child, for a parent may have ended unseen while it was enqueued; or
-- a job that has ended, for not all of its children have been told. Append-only for whoever enqueues.
CREATE SEQUENCE wsup.loose_end_id AS bigint;
CREATE TABLE wsup.loose_end (
    id      bigint      PRIMARY KEY DEFAULT nextval('wsup.loose_end_id'),
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    child   bigint,
    parent  bigint,
    -- Since the first look at a child: the transactions that may be ending a parent of it unseen.
    writers text[]
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
ALTER SEQUENCE wsup.loose_end_id OWNED BY wsup.loose_end.id;
-- Up to here all are dead for good: what a long transaction keeps from being vacuumed isn't waded
-- through again and again. A sequence, because it is read by every look.
-- Never counted up but set: after a crash of the server, what has counted is up to 32 ahead.
CREATE SEQUENCE wsup.loose_end_low AS bigint MINVALUE 0 START 0;
SELECT setval('wsup.loose_end_low', 0);

-- Makes jobs ready, or waiting, or puts them in the line of their key (wsup.line_up), as wsup.admit
-- does. What waits for no parent comes here.
CREATE FUNCTION wsup.place(jobs bigint[], attempts smallint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    at CONSTANT timestamptz := clock_timestamp();
    keyed   bigint[];
    numbers smallint[];
    limited CONSTANT boolean := EXISTS (SELECT FROM wsup.limits);
BEGIN
    WITH placed AS MATERIALIZED (
        SELECT j.id, j.priority, j.queue, j.key, u.attempt, j.run_at,
               j.run_at IS NULL OR j.run_at <= at AS due
          FROM unnest(jobs, attempts) AS u(id, attempt) JOIN wsup.job j ON j.id = u.id),
    later AS (
        INSERT INTO wsup.waiting (job, due_at, priority, attempt, queue, key)
        SELECT p.id, p.run_at, p.priority, p.attempt, p.queue, p.key FROM placed p WHERE NOT p.due),
    made AS (
        INSERT INTO wsup.ready (job, rank, attempt, lane, queue)
        SELECT p.id, -1 - p.priority, p.attempt, l.last_value % 4, p.queue
          FROM wsup.lane_turn l, placed p WHERE p.due AND p.key IS NULL AND NOT limited)
    SELECT array_agg(p.id), array_agg(p.attempt) INTO keyed, numbers
      FROM placed p WHERE p.due AND (p.key IS NOT NULL OR limited);
    IF keyed IS NOT NULL THEN
        PERFORM wsup.line_up(keyed, numbers);
    END IF;
END
$$;

-- Why a child never runs.
CREATE FUNCTION wsup.parents_end(parent bigint, state wsup.outcome_state) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('its parent, job %s, %s', parent, CASE
        WHEN state IS NULL THEN 'has been removed' WHEN state = 'failed' THEN 'has failed'
        WHEN state = 'expired' THEN 'has expired' ELSE 'was cancelled' END)
$$;

-- Holds back jobs that have parents: new ones, or with `attempts` such as are run again, to which a
-- parent that has ended, in whatever way, is no obstacle. Raises foreign_key_violation for a parent that
-- doesn't exist. A parent is older than its child, so there are no cycles.
CREATE FUNCTION wsup.hold_back(jobs bigint[], attempts smallint[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    again CONSTANT boolean := attempts IS NOT NULL;
    -- Parents made in this very transaction can't end before it does.
    own CONSTANT xid := pg_current_xact_id()::xid;
    children bigint[];
    numbers  smallint[];
    waits    boolean[];
    unsure   boolean[];
    culprits bigint[];
    unknown  bigint;
    younger  bigint;
    nothing  boolean;
    doomed   bigint[];
BEGIN
    IF cardinality(jobs) = 0 THEN
        RETURN;
    END IF;
    -- Before anything else: who ends a parent from now on looks for children.
    PERFORM nextval('wsup.dependency_used');
    WITH asked AS MATERIALIZED (
        SELECT j.id AS child, u.attempt, p.parent, p.given, bool_or(p.lax) AS lax
          FROM unnest(jobs, attempts) AS u(id, attempt)
          JOIN wsup.job j ON j.id = u.id
          LEFT JOIN LATERAL (
            SELECT a.parent, false AS lax, true AS given FROM unnest(j.after) AS a(parent)
            UNION ALL
            SELECT a.parent, true, true FROM unnest(j.after_lax) AS a(parent)) p ON true
         GROUP BY j.id, u.attempt, p.parent, p.given),
    seen AS MATERIALIZED (
        SELECT a.child, a.attempt, a.parent, a.lax, o.state,
               a.given AND o.state IS NULL AND j.id IS NOT NULL AS open,
               a.given AND j.id IS NULL AND NOT again AS unknown, a.given,
               j.xmin = own AS is_new
          FROM asked a
          LEFT JOIN wsup.job j ON j.id = a.parent
          LEFT JOIN wsup.outcome o ON o.job = a.parent),
    kept AS (
        INSERT INTO wsup.dependency AS d (parent, child, lax)
        SELECT s.parent, s.child, s.lax FROM seen s WHERE s.open
            ON CONFLICT DO NOTHING),
    judged AS (
        SELECT s.child, s.attempt, coalesce(bool_or(s.open), false) AS waits,
               coalesce(bool_or(s.open AND NOT s.is_new), false) AS unsure,
               min(s.parent) FILTER (
                   WHERE s.state <> 'succeeded' AND NOT s.lax AND NOT again) AS culprit,
               min(s.parent) FILTER (WHERE s.unknown) AS unknown,
               min(s.parent) FILTER (WHERE s.parent >= s.child) AS younger,
               bool_or(s.given AND s.parent IS NULL) AS nothing
          FROM seen s GROUP BY s.child, s.attempt)
    SELECT array_agg(j.child), array_agg(coalesce(j.attempt, 1::smallint)), array_agg(j.waits),
           array_agg(j.unsure), array_agg(j.culprit), min(j.unknown), min(j.younger),
           bool_or(j.nothing)
      INTO children, numbers, waits, unsure, culprits, unknown, younger, nothing
      FROM judged j;

    IF unknown IS NOT NULL OR nothing THEN
        RAISE foreign_key_violation USING MESSAGE = format(
            'there is no job %s to wait for: it never was, or has been removed',
            coalesce(unknown::text, 'NULL'));
    ELSIF younger IS NOT NULL THEN
        RAISE foreign_key_violation USING MESSAGE = format(
            'job %s can''t be waited for by a job of a smaller number: enqueue it first', younger);
    END IF;
    INSERT INTO wsup.child (job, attempt)
    SELECT u.child, u.number FROM unnest(children, numbers, waits, culprits)
                                  AS u(child, number, waits, culprit)
     WHERE u.waits AND u.culprit IS NULL;
    INSERT INTO wsup.loose_end (child)
    SELECT u.child FROM unnest(children, unsure, culprits) AS u(child, unsure, culprit)
     WHERE u.unsure AND u.culprit IS NULL;
    PERFORM wsup.place(array_agg(u.child), array_agg(u.number))
       FROM unnest(children, numbers, waits, culprits) AS u(child, number, waits, culprit)
      WHERE NOT u.waits AND u.culprit IS NULL HAVING count(*) > 0;
    SELECT array_agg(u.child) INTO doomed
      FROM unnest(children, culprits) AS u(child, culprit) WHERE u.culprit IS NOT NULL;
    -- Asked first: even an INSERT of nothing would count as ending jobs (see wsup.tie_up).
    IF doomed IS NOT NULL THEN
        INSERT INTO wsup.outcome (job, state, attempt, reason)
        SELECT u.child, 'cancelled', u.number, wsup.parents_end(u.culprit, p.state)
          FROM unnest(children, numbers, culprits) AS u(child, number, culprit)
          JOIN wsup.outcome p ON p.job = u.culprit;
        DELETE FROM wsup.dependency d USING unnest(doomed) AS u(job) WHERE d.child = u.job;
        PERFORM wsup.release(doomed);
    END IF;
END
$$;

-- Tells the children of jobs that have ended. To be called by whatever writes an outcome, in the same
-- transaction, after that. A child whose last parent this was is placed; one whose parent has not
-- succeeded is cancelled, and so are its children in turn. Nobody is waited for: a child that another
-- transaction holds, and what is too much for one turn, is left as a loose end; `since` tells for how
-- long children have been held.
CREATE FUNCTION wsup.release(ended bigint[], since timestamptz DEFAULT clock_timestamp()) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    -- Generations, and children, that one call sees to: some 0.1 s of work.
    generations CONSTANT integer := 100;
    budget   bigint := 10000;
    todo     bigint[] := ended;
    children bigint[];
    attempts smallint[];
    culprits bigint[];
    found    bigint;
    held     bigint;
    free     bigint[];
    free_attempts smallint[];
    doomed   bigint[];
BEGIN
    IF ended IS NULL OR NOT (SELECT s.is_called FROM wsup.dependency_used s) THEN
        RETURN;
    ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
        -- A fixed snapshot may be older than a child.
        INSERT INTO wsup.loose_end (parent) SELECT u.job FROM unnest(ended) AS u(job);
        RETURN;
    END IF;
    FOR generation IN 1 .. generations LOOP
        WITH edges AS MATERIALIZED (
            SELECT d.parent, d.child,
                   CASE WHEN d.lax THEN 'succeeded' ELSE coalesce(o.state, 'cancelled') END AS state
              FROM unnest(todo) AS u(job)
              JOIN wsup.dependency d ON d.parent = u.job
              LEFT JOIN wsup.outcome o ON o.job = d.parent
                -- It may have been removed while the child was not to be seen yet.
             WHERE o.job IS NOT NULL OR NOT EXISTS (SELECT FROM wsup.job j WHERE j.id = d.parent)
             LIMIT budget),
        held AS MATERIALIZED (
            SELECT e.parent, e.child, e.state, c.attempt
              FROM edges e JOIN wsup.child c ON c.job = e.child
               FOR UPDATE OF c SKIP LOCKED),
        gone AS (
            DELETE FROM wsup.dependency d USING held h
             WHERE d.parent = h.parent AND d.child = h.child),
        judged AS (
            SELECT h.child, min(h.attempt) AS attempt, count(*) AS edges,
                   min(h.parent) FILTER (WHERE h.state <> 'succeeded') AS culprit
              FROM held h GROUP BY h.child)
        SELECT array_agg(j.child), array_agg(j.attempt), array_agg(j.culprit),
               (SELECT count(*) FROM edges), coalesce(sum(j.edges), 0)
          INTO children, attempts, culprits, found, held
          FROM judged j;
        IF found = 0 THEN
            RETURN;
        ELSIF held < found OR found = budget THEN
            INSERT INTO wsup.loose_end (parent, made_at)
            SELECT u.job, CASE WHEN found = budget THEN clock_timestamp() ELSE since END
              FROM unnest(todo) AS u(job)
             WHERE EXISTS (SELECT FROM wsup.dependency d WHERE d.parent = u.job);
        END IF;
        budget := budget - found;
        todo := NULL;
        EXIT WHEN children IS NULL;

        -- Only now, as the children are held, it is certain what they still wait for. The parents are
        -- looked at from the youngest on: the others have left dead rows.
        SELECT array_agg(u.child) FILTER (WHERE u.culprit IS NULL),
               array_agg(u.attempt) FILTER (WHERE u.culprit IS NULL),
               array_agg(u.child) FILTER (WHERE u.culprit IS NOT NULL)
          INTO free, free_attempts, doomed
          FROM unnest(children, attempts, culprits) AS u(child, attempt, culprit)
         WHERE u.culprit IS NOT NULL
            OR (SELECT d.parent FROM wsup.dependency d WHERE d.child = u.child
                 ORDER BY d.child DESC, d.parent DESC LIMIT 1) IS NULL;
        IF free IS NOT NULL THEN
            DELETE FROM wsup.child c USING unnest(free) AS u(job) WHERE c.job = u.job;
            PERFORM wsup.place(free, free_attempts);
        END IF;
        EXIT WHEN doomed IS NULL;
        INSERT INTO wsup.outcome (job, state, attempt, reason)
        SELECT u.child, 'cancelled', u.attempt, wsup.parents_end(u.culprit, p.state)
          FROM unnest(children, attempts, culprits) AS u(child, attempt, culprit)
          LEFT JOIN wsup.outcome p ON p.job = u.culprit
         WHERE u.culprit IS NOT NULL;
        DELETE FROM wsup.dependency d USING unnest(doomed) AS u(job) WHERE d.child = u.job;
        DELETE FROM wsup.child c USING unnest(doomed) AS u(job) WHERE c.job = u.job;
        todo := doomed;
        EXIT WHEN budget <= 0;
    END LOOP;
    -- Asked first: who has written loose ends keeps `loose_end_low` where it is.
    IF todo IS NOT NULL THEN
        INSERT INTO wsup.loose_end (parent)
        SELECT u.job FROM unnest(todo) AS u(job)
         WHERE EXISTS (SELECT FROM wsup.dependency d WHERE d.parent = u.job);
    END IF;
END
$$;

-- The same for who may leave the transaction open, such as an operator: no child is held, and a loose
-- end is left for each job that has children. Those of the jobs that were children are held already.
CREATE FUNCTION wsup.release_later(ended bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    IF ended IS NOT NULL AND (SELECT s.is_called FROM wsup.dependency_used s) THEN
        DELETE FROM wsup.dependency d USING unnest(ended) AS u(job) WHERE d.child = u.job;
        INSERT INTO wsup.loose_end (parent)
        SELECT u.job FROM unnest(ended) AS u(job)
         WHERE current_setting('transaction_isolation') <> 'read committed'
            OR EXISTS (SELECT FROM wsup.dependency d WHERE d.parent = u.job);
    END IF;
END
$$;

-- The jobs that have ended and whose results are still needed: other parents of their children have
-- not ended.
CREATE FUNCTION wsup.needed() RETURNS bigint[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    -- Even to plan the join takes a look at the ends of an index, which may be full of dead rows.
    IF NOT EXISTS (SELECT FROM wsup.child) THEN
        RETURN '{}';
    END IF;
    RETURN ARRAY(SELECT DISTINCT unnest(j.after)
                   FROM wsup.child c JOIN wsup.job j ON j.id = c.job);
END
$$;
