-- Limits of tasks, queues and keys: how many of their jobs run at once, over all hosts and on each, and
-- how many may start in a time. A job that has any passes gates, one after the other: its key's rate,
-- its queue, its task. At each it stands in line (`blocked`), by priority, then age; who is let in holds
-- a turn (`key_holder`) until the job has ended or is put off, as with keys (0013_keys.sql). The order
-- of the gates is that of their names, so two jobs never wait for each other's turns.

CREATE TABLE wsup.limits (
    -- E'\0051' and a key, E'\0052' and a queue, E'\0053' and a task: no key begins like that.
    gate        text COLLATE "C" PRIMARY KEY,
    kind        text             NOT NULL CHECK (kind IN ('key', 'queue', 'task')),
    name        text             NOT NULL,
    -- What is in force; NULL: no limit.
    max_running integer          CHECK (max_running BETWEEN 1 AND 32767),
    rate        text,                          -- as it was said
    per_second  double precision CHECK (per_second > 0),
    burst       integer          CHECK (burst >= 1),
    per_host    integer          CHECK (per_host BETWEEN 1 AND 32767),
    by_hand     boolean          NOT NULL DEFAULT false,   -- set by somebody, whatever the code says
    app         text,                          -- whose code says …
    coded       json,                          -- … this
    streamed    boolean          NOT NULL DEFAULT false,   -- its jobs have streams of their own
    term        bigint                         -- another one each time that there is a max_running again
);

-- How far a gate is. No row is updated: each version is a row of its own, the newest is found first,
-- whatever keeps the old ones from being vacuumed.
CREATE SEQUENCE wsup.gate_version AS bigint;
CREATE TABLE wsup.gate_state (
    version  bigint           NOT NULL DEFAULT nextval('wsup.gate_version'),
    holders  int8multirange   NOT NULL,        -- who was let in; those that have no turn any more are over
    tokens   double precision,                 -- starts that were saved up …
    at       timestamptz,                      -- … by then
    low_rank integer          NOT NULL,        -- in the line, all before this place are dead for good
    low_job  bigint           NOT NULL,
    timer    bigint,                           -- the number of its timer, if it has one
    term     bigint,                           -- of the limit, when these were let in
    gate     text COLLATE "C" NOT NULL,
    PRIMARY KEY (gate, version)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
ALTER SEQUENCE wsup.gate_version OWNED BY wsup.gate_state.version;

-- Of a gate's mark: where in the line somebody has joined, as (rank, job); NULL: nobody.
ALTER TABLE wsup.ready ADD COLUMN place bigint[];

-- Of these jobs, those to which a limit applies.
CREATE FUNCTION wsup.gated(jobs bigint[]) RETURNS SETOF bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT j.id FROM unnest(gated.jobs) AS u(job) JOIN wsup.job j ON j.id = u.job
     WHERE EXISTS (SELECT FROM wsup.limits l
                    WHERE l.gate IN (E'\0051' || j.key, E'\0052' || j.queue, E'\0053' || j.task));
END
$$;

-- Of jobs that are to line up for their keys: those that have none, or only take turns by it
-- (0015_fairness.sql) and are limited otherwise, go on to their gates; the others come back.
CREATE FUNCTION wsup.line_up_limited(jobs bigint[], attempts smallint[],
                                     OUT others bigint[], OUT numbers smallint[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    gone    bigint[];
    at      smallint[];
    limited CONSTANT bigint[] := ARRAY(SELECT g.job FROM wsup.gated(jobs) AS g(job));
BEGIN
    WITH asked AS (
        SELECT j.id, line_up_limited.attempts[u.nr] AS attempt,
               j.key IS NULL OR j.id = ANY (limited) AND j.key_limit IS NULL
               AND EXISTS (SELECT FROM wsup.queue_order o WHERE o.queue = j.queue AND o.fair)
               AND NOT EXISTS (SELECT FROM wsup.key_limit l WHERE l.key = j.key) AS goes
          FROM unnest(line_up_limited.jobs) WITH ORDINALITY AS u(job, nr)
          JOIN wsup.job j ON j.id = u.job)
    SELECT array_agg(a.id) FILTER (WHERE a.goes), array_agg(a.attempt) FILTER (WHERE a.goes),
           array_agg(a.id) FILTER (WHERE NOT a.goes),
           CASE WHEN line_up_limited.attempts IS NOT NULL
                THEN array_agg(a.attempt) FILTER (WHERE NOT a.goes) END
      INTO gone, at, others, numbers FROM asked a;
    IF gone IS NOT NULL THEN
        PERFORM wsup.go_on(gone, at, '', false);
    END IF;
END
$$;

-- Where a job may stand in line.
CREATE FUNCTION wsup.lines(key text, queue text, task text) RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY[key, E'\0051' || key, E'\0052' || queue, E'\0053' || task]
$$;

-- What a rate such as "100/minute" comes to in a second; NULL, if it is none.
CREATE FUNCTION wsup.per_second(rate text) RETURNS double precision
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT nullif(p[1]::double precision, 0)
           / CASE p[2] WHEN 'second' THEN 1 WHEN 'minute' THEN 60 WHEN 'hour' THEN 3600 ELSE 86400 END
      FROM regexp_match(rate, '^(\d{1,7}(?:\.\d{1,6})?)/(second|minute|hour|day)$') AS m(p)
$$;

-- Timers lie among what is ready, as marks do, in a queue to which nobody subscribes: so old ones can be
-- truncated. Their number is the moment (µs since 2000, as thousands), so the next one is found first.
CREATE FUNCTION wsup.timer_moment(timer bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT timestamptz '2000-01-01 00:00:00+00'
         + (timer + 4611686018427387904) / 1000 * interval '1 microsecond'
$$;

CREATE FUNCTION wsup.timer_number(moment timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ceil(extract(epoch FROM moment - timestamptz '2000-01-01 00:00:00+00') * 1000000)::bigint * 1000
         - 4611686018427387904
$$;

-- In how many seconds the next gate has a token for somebody; NULL: none is waited for. A clock that
-- was set back must not keep anybody waiting: what is farther off than a token takes is due.
CREATE FUNCTION wsup.next_token() RETURNS double precision
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    due double precision;
BEGIN
    IF EXISTS (SELECT FROM wsup.limits) THEN
        SELECT CASE WHEN d.seconds > 1 + 1 / coalesce(
                   (SELECT l.per_second FROM wsup.limits l WHERE l.gate = d.key), 1)
                    THEN 0 ELSE d.seconds END INTO due
          FROM (SELECT r.key, extract(epoch FROM wsup.timer_moment(r.job) - clock_timestamp()) AS seconds
                  FROM wsup.ready r WHERE r.queue = E'\004' ORDER BY r.rank, r.job LIMIT 1) d;
    END IF;
    RETURN due;
END
$$;

-- Has a gate looked at; from this place on, if one is given.
CREATE FUNCTION wsup.mark_gates(gates text[], ranks integer[], jobs bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF gates <> '{}' THEN
        PERFORM wsup.come_back();
        INSERT INTO wsup.ready (job, rank, attempt, lane, queue, key, place)
        SELECT nextval('wsup.key_mark'), 0, 0, l.last_value % 4, E'\001', g.gate,
               CASE WHEN g.job IS NOT NULL THEN ARRAY[g.rank::bigint, g.job] END
          FROM wsup.lane_turn l, unnest(gates, ranks, jobs) AS g(gate, rank, job);
    END IF;
END
$$;

-- Those whose time has come are marked. One that is due only because the clock was set back, too.
CREATE FUNCTION wsup.ring_gates() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_sort = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    until CONSTANT bigint := greatest(wsup.timer_number(clock_timestamp()), (
        SELECT r.job FROM wsup.ready r WHERE r.queue = E'\004' ORDER BY r.rank, r.job LIMIT 1));
    gates text[];
BEGIN
    WITH due AS MATERIALIZED (
        SELECT r.lane, r.job FROM wsup.ready r
         WHERE r.queue = E'\004' AND r.rank = 0 AND r.job <= until
         ORDER BY r.rank, r.job LIMIT 1000 FOR UPDATE SKIP LOCKED),
    gone AS (
        DELETE FROM wsup.ready r USING due d
         WHERE r.lane = d.lane AND r.queue = E'\004' AND r.rank = 0 AND r.job = d.job
        RETURNING r.key)
    SELECT array_agg(DISTINCT g.key) INTO gates FROM gone g;
    PERFORM wsup.mark_gates(gates, NULL, NULL);
END
$$;

-- In which queue a job stands that is ready: jobs of a task of which each host runs so many have
-- streams of their own, a queue each, from which a supervisor pulls while it has room.
CREATE FUNCTION wsup.stream(queue text, task text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
#variable_conflict use_variable
BEGIN
    RETURN CASE WHEN EXISTS (SELECT FROM wsup.limits l
                              WHERE l.gate = E'\0053' || task AND l.per_host IS NOT NULL)
                THEN queue || E'\003' || task ELSE queue END;
END
$$;

-- Sends jobs on that have passed the gate `passed` ('': none), at these attempts (NULL: their first):
-- into the line of the next gate that applies to them, or, if there is none, to what is ready. Only who
-- commits soon may have those lines served at once; others leave marks. Returns how many became ready.
CREATE FUNCTION wsup.go_on(jobs bigint[], attempts smallint[], passed text, at_once boolean)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    -- Asked for once, but for those of keys, which may be many.
    open   CONSTANT text[] := ARRAY(
        SELECT l.gate FROM wsup.limits l
         WHERE l.gate >= E'\0052' AND l.gate > passed COLLATE "C"
           AND (l.max_running IS NOT NULL OR l.per_second IS NOT NULL));
    hosted CONSTANT text[] := ARRAY(
        SELECT l.name FROM wsup.limits l WHERE l.gate >= E'\0053' AND l.per_host IS NOT NULL);
    gates  text[];
    ranks  integer[];
    firsts bigint[];
    came   bigint;
BEGIN
    WITH next AS MATERIALIZED (
        SELECT j.id, j.priority, j.queue, j.task, coalesce(u.attempt, 1::smallint) AS attempt,
               CASE WHEN passed = '' AND j.key IS NOT NULL AND EXISTS (
                             SELECT FROM wsup.limits l
                              WHERE l.gate = E'\0051' || j.key AND l.per_second IS NOT NULL)
                    THEN E'\0051' || j.key
                    WHEN E'\0052' || j.queue = ANY (open) THEN E'\0052' || j.queue
                    WHEN E'\0053' || j.task = ANY (open) THEN E'\0053' || j.task END AS gate
          FROM unnest(go_on.jobs, go_on.attempts) AS u(job, attempt) JOIN wsup.job j ON j.id = u.job),
    made AS (
        INSERT INTO wsup.ready (job, rank, attempt, lane, queue)
        SELECT n.id, -1 - n.priority, n.attempt, l.last_value % 4,
               CASE WHEN n.task = ANY (hosted) THEN n.queue || E'\003' || n.task ELSE n.queue END
          FROM wsup.lane_turn l, next n WHERE n.gate IS NULL
        RETURNING 1),
    put AS (
        INSERT INTO wsup.blocked AS b (job, rank, attempt, key_limit, lane, key, queue)
        SELECT n.id, -1 - n.priority, n.attempt, 1, l.last_value % 4, n.gate, n.queue
          FROM wsup.lane_turn l, next n WHERE n.gate IS NOT NULL
        RETURNING b.key, b.rank, b.job),
    first AS (
        SELECT DISTINCT ON (p.key) p.key, p.rank, p.job FROM put p ORDER BY p.key, p.rank, p.job)
    SELECT array_agg(f.key), array_agg(f.rank), array_agg(f.job), (SELECT count(*) FROM made)
      INTO gates, ranks, firsts, came FROM first f;
    IF NOT at_once THEN
        PERFORM wsup.mark_gates(gates, ranks, firsts);
    ELSIF gates IS NOT NULL THEN
        came := came + sum(wsup.try_gate(u.gate, u.rank, u.job))
           FROM unnest(gates, ranks, firsts) AS u(gate, rank, job);
    END IF;
    RETURN came;
END
$$;

-- Serves a gate, or leaves a mark if another one has it in hand.
CREATE FUNCTION wsup.try_gate(gate text, rank integer, job bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_variable
DECLARE
    place bigint[] := CASE WHEN job IS NOT NULL THEN ARRAY[rank, job] END;
BEGIN
    IF pg_try_advisory_xact_lock(hashtextextended(gate, 0)) THEN
        -- Who has joined the line, and whose mark nobody has met yet, is not passed over.
        SELECT least(place, min(m.place)) INTO place
          FROM (SELECT r.key, r.place FROM wsup.ready r WHERE r.queue = E'\001'
                 ORDER BY r.rank, r.job LIMIT 1000) m
         WHERE m.key = gate;
        RETURN wsup.serve(gate, place[1]::integer, place[2]);
    END IF;
    PERFORM wsup.mark_gates(ARRAY[gate], ARRAY[rank], ARRAY[job]);
    RETURN 0;
END
$$;

-- Lets in as many as a gate has room for, the first in line first. To be called only by who holds the
-- gate's lock, which is tried and never waited for. `rank`, `job`: the first place at which somebody
-- has joined the line since; NULL: nobody has. Waits for nobody: a row that is locked is being
-- cancelled. Returns how many jobs became ready.
CREATE FUNCTION wsup.serve(gate text, rank integer, job bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_sort = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    -- Jobs that one call lets in at most: some 0.1 s of work.
    room  bigint := 10000;
    now   CONSTANT timestamptz := clock_timestamp();
    l     wsup.limits;
    old   wsup.gate_state;
    new   wsup.gate_state;
    jobs  bigint[];
    attempts smallint[];
    came  bigint := 0;
    due   timestamptz;
BEGIN
    SELECT * INTO l FROM wsup.limits u WHERE u.gate = serve.gate;
    SELECT * INTO old FROM wsup.gate_state u WHERE u.gate = serve.gate ORDER BY u.version DESC LIMIT 1;
    new := old;
    IF old.version IS NULL THEN
        new := (0, '{}', NULL, NULL, -2147483648, -1, NULL, NULL, serve.gate);
    ELSIF (serve.rank, serve.job) < (old.low_rank, old.low_job) THEN
        new.low_rank := serve.rank;
        new.low_job := serve.job;
    END IF;
    IF l.max_running IS NULL OR l.term IS DISTINCT FROM new.term THEN
        -- Nor do those count that had turns before the limit was lifted, should there be one again: who
        -- was taken meanwhile will not end them.
        DELETE FROM wsup.key_holder h WHERE new.holders <> '{}' AND h.key = serve.gate;
        new.holders := '{}';
    END IF;
    new.term := l.term;
    IF l.max_running IS NOT NULL THEN
        -- Each is looked up by itself: those that are over are not waded through.
        SELECT coalesce(range_agg(int8range(n.job, n.job + 1)), '{}'),
               least(room, l.max_running - count(*)) INTO new.holders, room
          FROM unnest(new.holders) AS s(span)
         CROSS JOIN LATERAL generate_series(lower(s.span), upper(s.span) - 1) AS n(job)
         WHERE EXISTS (SELECT FROM wsup.key_holder h WHERE h.key = serve.gate AND h.job = n.job);
    END IF;
    IF l.per_second IS NOT NULL THEN
        new.tokens := least(l.burst, coalesce(new.tokens + l.per_second * greatest(
            0, extract(epoch FROM now - new.at)::double precision), l.burst));
        new.at := now;
        IF room > floor(new.tokens) THEN
            room := floor(new.tokens);
            -- Not for each token: some fifty times a second at most.
            due := now + (least(l.burst, greatest(1, 0.02 * l.per_second)) - new.tokens + room)
                         / l.per_second * interval '1 second';
        END IF;
    ELSE
        new.tokens := NULL;
    END IF;

    IF room > 0 THEN
        WITH first AS MATERIALIZED (
            SELECT b.lane, b.ctid AS at FROM wsup.blocked b
             WHERE b.key = serve.gate AND (b.rank, b.job) >= (new.low_rank, new.low_job)
             ORDER BY b.rank, b.job LIMIT room FOR UPDATE SKIP LOCKED),
        freed AS MATERIALIZED (
            SELECT * FROM wsup.leave_line(ARRAY(SELECT f.lane FROM first f), ARRAY(SELECT f.at FROM first f))),
        held AS (
            INSERT INTO wsup.key_holder (job, key_limit, lane, key)
            SELECT f.job, 1, t.last_value % 4, serve.gate FROM wsup.lane_turn t, freed f
             WHERE l.max_running IS NOT NULL
               AND NOT EXISTS (SELECT FROM wsup.key_holder h WHERE h.key = serve.gate AND h.job = f.job)),
        -- After that of its task there is no other gate.
        made AS (
            INSERT INTO wsup.ready (job, rank, attempt, lane, queue)
            SELECT f.job, f.rank, f.attempt, t.last_value % 4,
                   CASE WHEN l.per_host IS NULL THEN f.queue ELSE f.queue || E'\003' || l.name END
              FROM wsup.lane_turn t, freed f WHERE l.kind = 'task')
        SELECT array_agg(f.job), array_agg(f.attempt), count(*) INTO jobs, attempts, came FROM freed f;
        IF came > 0 AND l.max_running IS NOT NULL THEN
            new.holders := new.holders + (
                SELECT range_agg(int8range(u.job, u.job + 1)) FROM unnest(jobs) AS u(job));
        END IF;
        new.tokens := new.tokens - came;
    END IF;
    SELECT b.rank, b.job INTO new.low_rank, new.low_job FROM wsup.blocked b
     WHERE b.key = serve.gate AND (b.rank, b.job) >= (new.low_rank, new.low_job)
     ORDER BY b.rank, b.job LIMIT 1;
    IF NOT FOUND THEN
        new.low_rank := 2147483647;
        new.low_job := 9223372036854775807;
        due := NULL;
    ELSIF came < room OR came = 10000 THEN
        -- Somebody has a lock on it, and may give it up; or there are very many.
        PERFORM wsup.mark_gates(ARRAY[serve.gate], NULL, NULL);
    END IF;
    new.timer := wsup.set_timer(serve.gate, old.timer, due);

    IF l.gate IS NULL OR old.at > now OR (new.holders, new.low_rank, new.low_job, new.timer, new.term, came)
       IS DISTINCT FROM (old.holders, old.low_rank, old.low_job, old.timer, old.term, 0::bigint) THEN
        DELETE FROM wsup.gate_state u WHERE u.gate = serve.gate AND u.version = old.version;
        IF l.gate IS NOT NULL OR new.timer IS NOT NULL THEN
            INSERT INTO wsup.gate_state (holders, tokens, at, low_rank, low_job, timer, term, gate)
            VALUES (new.holders, new.tokens, new.at, new.low_rank, new.low_job, new.timer, new.term,
                    serve.gate);
        END IF;
    END IF;
    RETURN CASE WHEN came = 0 OR l.kind = 'task' THEN came
                ELSE wsup.go_on(jobs, attempts, serve.gate, true) END;
END
$$;

-- Makes `due` (NULL: never) the time at which a gate is looked at again; returns the timer's number. One
-- that rings before then, and hasn't, does as well.
CREATE FUNCTION wsup.set_timer(gate text, timer bigint, due timestamptz) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_variable
DECLARE
    made bigint;
BEGIN
    IF timer IS NOT NULL THEN
        IF wsup.timer_moment(timer) <= due AND EXISTS (
               SELECT FROM wsup.ready r WHERE r.queue = E'\004' AND r.rank = 0 AND r.job = timer) THEN
            RETURN timer;
        END IF;
        DELETE FROM wsup.ready r WHERE r.queue = E'\004' AND r.rank = 0 AND r.job = timer;
    END IF;
    IF due IS NULL THEN
        RETURN NULL;
    END IF;
    -- The last three figures tell apart what is due at the same moment.
    made := wsup.timer_number(due) + nextval('wsup.gate_version') % 1000;
    INSERT INTO wsup.ready (job, rank, attempt, lane, queue, key)
    SELECT made, 0, 0, u.last_value % 4, E'\004', gate FROM wsup.lane_turn u;
    -- Who serves is to set its clock, and others, too, lest it die: to somewhat later.
    PERFORM pg_notify(wsup.channel(t.id::integer), 'token ' || t.seconds)
       FROM (SELECT s.supervisor::text AS id, 1 + extract(epoch FROM due - clock_timestamp()) AS seconds
               FROM wsup.sleeper s
              WHERE s.supervisor::text IS DISTINCT FROM current_setting('wsup.taker', true)
             UNION ALL
             SELECT current_setting('wsup.taker', true), extract(epoch FROM due - clock_timestamp())) t
      WHERE t.id <> '';
    RETURN made;
END
$$;

-- Takes all turns from these jobs: by key, how many, and of which gates.
CREATE FUNCTION wsup.free_turns(jobs bigint[], OUT keys text[], OUT turns bigint[], OUT gates text[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    WITH freed AS (
        DELETE FROM wsup.key_holder h
         USING unnest(free_turns.jobs) AS u(job) JOIN wsup.job j ON j.id = u.job
         WHERE h.key IN (j.key, E'\0052' || j.queue, E'\0053' || j.task) AND h.job = j.id
        RETURNING h.key)
    SELECT array_agg(f.key) FILTER (WHERE f.key >= ' '), array_agg(f.n) FILTER (WHERE f.key >= ' '),
           array_agg(f.key) FILTER (WHERE f.key < ' ') INTO keys, turns, gates
      FROM (SELECT freed.key, count(*) AS n FROM freed GROUP BY freed.key) f;
END
$$;

-- Turns of these gates have become free. Returns how many jobs became ready by that.
CREATE FUNCTION wsup.serve_gates(gates text[], at_once boolean) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    IF at_once AND gates IS NOT NULL THEN
        RETURN (SELECT sum(wsup.try_gate(u.gate, NULL, NULL)) FROM unnest(gates) AS u(gate));
    END IF;
    PERFORM wsup.mark_gates(gates, NULL, NULL);
    RETURN 0;
END
$$;

-- These jobs hold no turns of limits any more.
CREATE FUNCTION wsup.end_limited_turns(jobs bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    gates text[];
BEGIN
    WITH freed AS (
        DELETE FROM wsup.key_holder h
         USING unnest(end_limited_turns.jobs) AS u(job) JOIN wsup.job j ON j.id = u.job
         WHERE h.key IN (E'\0052' || j.queue, E'\0053' || j.task) AND h.job = j.id
        RETURNING h.key)
    SELECT array_agg(DISTINCT f.key) INTO gates FROM freed f;
    PERFORM wsup.mark_gates(gates, NULL, NULL);
END
$$;

-- Takes jobs that have not started from what is ready and from the lines of gates, with their turns. As
-- wsup.move does, the last ones of a queue first.
CREATE FUNCTION wsup.take_out(jobs bigint[], OUT taken bigint[], OUT attempts smallint[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET plan_cache_mode = force_custom_plan SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
BEGIN
    WITH wanted AS MATERIALIZED (
        SELECT j.id, j.queue, j.task, j.key, j.priority FROM wsup.job j
         WHERE j.id = ANY (take_out.jobs) ORDER BY j.priority, j.id DESC),
    a AS (
        DELETE FROM wsup.ready r USING wanted w
         WHERE r.queue IN (w.queue, w.queue || E'\003' || w.task)
           AND r.rank = -1 - w.priority AND r.job = w.id
        RETURNING r.job, r.attempt),
    b AS (
        DELETE FROM wsup.blocked b USING wanted w
         WHERE b.key = ANY (wsup.lines(w.key, w.queue, w.task)) AND b.key < ' '
           AND b.rank = -1 - w.priority AND b.job = w.id
        RETURNING b.job, b.attempt)
    SELECT array_agg(t.job), array_agg(t.attempt) INTO taken, attempts
      FROM (SELECT * FROM a UNION ALL SELECT * FROM b) t;
    IF taken IS NOT NULL THEN
        PERFORM wsup.end_limited_turns(taken);
    END IF;
END
$$;

-- What wsup.take_back does with a job that is not in `ready` under its queue.
CREATE FUNCTION wsup.take_back_limited(job bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found record;
BEGIN
    IF NOT EXISTS (SELECT FROM wsup.limits) THEN
        RETURN false;
    END IF;
    SELECT * INTO found FROM wsup.take_out(ARRAY[job]);
    IF found.attempts[1] > 1 THEN
        PERFORM wsup.go_on(found.taken, found.attempts, '', false);
    END IF;
    RETURN coalesce(found.attempts[1] = 1, false);
END
$$;

-- What wsup.move does to jobs that are ready or stand at gates, which are others in the other queue.
CREATE FUNCTION wsup.move_limited(jobs bigint[], queue text) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    found record;
BEGIN
    SELECT * INTO found FROM wsup.take_out(ARRAY(
        SELECT j.id FROM wsup.job j WHERE j.id = ANY (move_limited.jobs) AND j.queue <> move_limited.queue));
    UPDATE wsup.job j SET queue = move_limited.queue WHERE j.id = ANY (found.taken);
    IF found.taken IS NOT NULL THEN
        PERFORM wsup.go_on(found.taken, found.attempts, '', false);
    END IF;
    RETURN found.taken;
END
$$;

-- setting them -----------------------------------------------------------------------------------

-- What is in force has changed from `was` to what is there now.
CREATE FUNCTION wsup.limit_changed(was wsup.limits, gate text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    l     wsup.limits;
    found record;
BEGIN
    SELECT * INTO l FROM wsup.limits u WHERE u.gate = limit_changed.gate;
    -- Jobs that are ready have never been at a gate that wasn't there, and are in another stream.
    IF was.max_running IS NULL AND was.per_second IS NULL
           AND num_nonnulls(l.max_running, l.per_second) > 0
       OR (was.per_host IS NULL) <> (l.per_host IS NULL) THEN
        SELECT * INTO found FROM wsup.take_out(ARRAY(
            SELECT r.job FROM wsup.ready r JOIN wsup.job j ON j.id = r.job
             WHERE r.job > 0 AND CASE l.kind WHEN 'task' THEN j.task = l.name
                                             WHEN 'queue' THEN j.queue = l.name END));
        IF found.taken IS NOT NULL THEN
            PERFORM wsup.go_on(found.taken, found.attempts, '', false);
        END IF;
    END IF;
    -- Who was deleted by hand while it had a turn will never end it.
    DELETE FROM wsup.key_holder h
     WHERE h.key = limit_changed.gate AND NOT EXISTS (SELECT FROM wsup.job j WHERE j.id = h.job);
    PERFORM wsup.mark_gates(ARRAY[limit_changed.gate], NULL, NULL);
    PERFORM pg_notify('wsup', 'limits');
END
$$;

-- Puts what the code says in force, but where somebody has set something else by hand. Rows that say
-- nothing any more go, unless there are streams that somebody may still be writing to.
CREATE FUNCTION wsup.heed_limits(gates text[]) RETURNS TABLE (kind text, name text, change text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    was wsup.limits;
    l   wsup.limits;
BEGIN
    FOR was IN SELECT * FROM wsup.limits u WHERE u.gate = ANY (gates) ORDER BY u.gate LOOP
        UPDATE wsup.limits u
           SET max_running = c.max_running, rate = c.rate, per_second = wsup.per_second(c.rate),
               burst = CASE WHEN c.rate IS NOT NULL
                            THEN coalesce(c.burst, greatest(1, floor(wsup.per_second(c.rate)))) END,
               per_host = c.per_host, streamed = u.streamed OR c.per_host IS NOT NULL,
               term = CASE WHEN u.max_running IS NULL THEN nextval('wsup.gate_version') ELSE u.term END
          FROM json_to_record(coalesce(was.coded, '{}'))
               AS c(max_running integer, rate text, burst integer, per_host integer)
         WHERE u.gate = was.gate AND NOT u.by_hand
        RETURNING u.* INTO l;
        CONTINUE WHEN NOT FOUND;
        DELETE FROM wsup.limits u WHERE u.gate = was.gate AND u.coded IS NULL AND NOT u.streamed;
        IF (l.max_running, l.rate, l.burst, l.per_host)
           IS DISTINCT FROM (was.max_running, was.rate, was.burst, was.per_host) THEN
            PERFORM wsup.limit_changed(was, was.gate);
            kind := was.kind;
            name := was.name;
            change := CASE WHEN num_nonnulls(l.max_running, l.rate, l.per_host) > 0
                           THEN 'set' ELSE 'lifted' END;
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;

-- Makes the limits of an app those that its code has; returns what has changed by that.
CREATE FUNCTION wsup.define_limits(app text, kinds text[], names text[], said text[])
RETURNS TABLE (kind text, name text, change text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    wanted text[];
    gone   text[];
BEGIN
    -- One at a time: two apps' rows, locked in different orders, could wait for each other.
    LOCK TABLE wsup.limits IN SHARE ROW EXCLUSIVE MODE;
    INSERT INTO wsup.limits AS u (gate, kind, name, app, coded)
    SELECT (wsup.lines(w.name, w.name, w.name))[array_position('{key,queue,task}', w.kind) + 1],
           w.kind, w.name, define_limits.app, w.said::json
      FROM unnest(kinds, names, define_limits.said) AS w(kind, name, said)
    ON CONFLICT ON CONSTRAINT limits_pkey DO UPDATE SET app = excluded.app, coded = excluded.coded;
    SELECT array_agg(u.gate) INTO wanted
      FROM unnest(kinds, names) AS w(kind, name) JOIN wsup.limits u ON u.kind = w.kind AND u.name = w.name;
    WITH left_out AS (
        UPDATE wsup.limits u SET app = NULL, coded = NULL
         WHERE u.app = define_limits.app AND u.gate <> ALL (coalesce(wanted, '{}')) RETURNING u.gate)
    SELECT array_agg(o.gate) INTO gone FROM left_out o;
    RETURN QUERY SELECT * FROM wsup.heed_limits(wanted || gone);
END
$$;

-- Sets the limits of a task, a queue or a key by hand, whatever the code says; what isn't given has none.
-- Without `by_hand`, they are again what the code says.
CREATE FUNCTION wsup.set_limit(kind text, name text, max_running integer DEFAULT NULL,
                               per_host integer DEFAULT NULL, rate text DEFAULT NULL,
                               burst integer DEFAULT NULL, by_hand boolean DEFAULT true) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    this CONSTANT text := format('wsup.set_limit: %s %s', set_limit.kind, quote_nullable(set_limit.name));
    at   CONSTANT text :=
        (wsup.lines(set_limit.name, set_limit.name, set_limit.name))
        [array_position('{key,queue,task}', set_limit.kind) + 1];
    was  wsup.limits;
BEGIN
    IF at IS NULL OR set_limit.name = '' THEN
        RAISE invalid_parameter_value USING MESSAGE = this || ': give a task, a queue or a key, and its name';
    ELSIF set_limit.max_running NOT BETWEEN 1 AND 32767 THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            '%s: max_running %s is not between 1 and 32767', this, set_limit.max_running);
    ELSIF set_limit.per_host NOT BETWEEN 1 AND 32767 THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            '%s: per_host %s is not between 1 and 32767', this, set_limit.per_host);
    ELSIF set_limit.rate IS NOT NULL AND wsup.per_second(set_limit.rate) IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            '%s: rate %s is none: give so many a second, minute, hour or day, such as 100/minute',
            this, quote_literal(set_limit.rate));
    ELSIF set_limit.burst < 1 THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            '%s: burst %s is not at least 1', this, set_limit.burst);
    ELSIF set_limit.burst IS NOT NULL AND set_limit.rate IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            '%s: burst %s means nothing without a rate', this, set_limit.burst);
    ELSIF set_limit.per_host > set_limit.max_running THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            '%s: per_host %s is more than max_running %s, of all hosts',
            this, set_limit.per_host, set_limit.max_running);
    ELSIF set_limit.kind = 'key' AND num_nonnulls(set_limit.max_running, set_limit.per_host) > 0 THEN
        RAISE invalid_parameter_value USING MESSAGE =
            this || ': how many jobs of a key run at once says its key_limit';
    ELSIF set_limit.kind = 'queue' AND set_limit.per_host IS NOT NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = this || ': per_host is for tasks';
    END IF;
    SELECT * INTO was FROM wsup.limits u WHERE u.gate = at FOR UPDATE;
    IF NOT set_limit.by_hand THEN
        UPDATE wsup.limits u SET by_hand = false WHERE u.gate = at;
        PERFORM wsup.heed_limits(ARRAY[at]);
        RETURN;
    END IF;
    INSERT INTO wsup.limits AS u (gate, kind, name, max_running, rate, per_second, burst, per_host,
                                  by_hand, streamed, term)
    VALUES (at, set_limit.kind, set_limit.name, set_limit.max_running, set_limit.rate,
            wsup.per_second(set_limit.rate),
            CASE WHEN set_limit.rate IS NOT NULL THEN coalesce(
                set_limit.burst, greatest(1, floor(wsup.per_second(set_limit.rate)))) END,
            set_limit.per_host, true, set_limit.per_host IS NOT NULL, nextval('wsup.gate_version'))
    ON CONFLICT ON CONSTRAINT limits_pkey DO UPDATE
       SET max_running = excluded.max_running, rate = excluded.rate, per_second = excluded.per_second,
           burst = excluded.burst, per_host = excluded.per_host, by_hand = true,
           streamed = u.streamed OR excluded.streamed,
           term = CASE WHEN u.max_running IS NULL THEN excluded.term ELSE u.term END;
    PERFORM wsup.limit_changed(was, at);
END
$$;

-- At which gate a job stands in line: no row if at none.
CREATE FUNCTION wsup.at_gate(job bigint)
RETURNS TABLE (attempt smallint, gate text, turns_held_by bigint[], jobs_before bigint,
               next_start_in double precision)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT b.attempt,
           concat_ws(' ', l.kind, l.name) || ': ' || concat_ws(', ',
               'at most ' || l.max_running || ' at once', 'at most ' || l.rate || ', burst ' || l.burst),
           (SELECT array_agg(h.job ORDER BY h.job) FROM wsup.key_holder h WHERE h.key = b.key),
           (SELECT count(*) FROM wsup.blocked f
             WHERE f.key = b.key AND (f.rank, f.job) < (b.rank, b.job)),
           (SELECT greatest(0, extract(epoch FROM wsup.timer_moment(s.timer) - clock_timestamp()))::double precision
              FROM wsup.gate_state s WHERE s.gate = b.key ORDER BY s.version DESC LIMIT 1)
      FROM wsup.job j
      JOIN wsup.blocked b ON b.key = ANY (wsup.lines(NULL, j.queue, j.task) || (E'\0051' || j.key))
                         AND b.rank = -1 - j.priority AND b.job = j.id
      LEFT JOIN wsup.limits l ON l.gate = b.key
     WHERE j.id = at_gate.job;
END
$$;
