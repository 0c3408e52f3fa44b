-- Keys: of the jobs that share one, at most so many run at once, over all hosts. The others stand in
-- line (`blocked`), by priority, then age. A job that is let in holds a turn until it has ended or is
-- put off; whoever commits that hands the turn to the next in line, in the same transaction. What can't
-- be done at once leaves a mark, for the next pull of whichever supervisor.

ALTER TABLE wsup.job ADD COLUMN key text COLLATE "C",
                     ADD COLUMN key_limit smallint CHECK (key_limit >= 1);  -- NULL: 1
ALTER TABLE wsup.waiting ADD COLUMN key text COLLATE "C";
ALTER TABLE wsup.claim ADD COLUMN keyed boolean;             -- true: some of its jobs have a key
-- Marks lie among what is ready, in a queue of their own to which every supervisor subscribes: so
-- lanes, wake-ups and falling asleep hold for them, too. Their "jobs" are negative numbers.
ALTER TABLE wsup.ready ADD COLUMN key text COLLATE "C",      -- of a mark alone
                       ADD COLUMN keys text[] COLLATE "C";   -- of a mark of several
CREATE SEQUENCE wsup.key_mark AS bigint
    MINVALUE -9223372036854775808 START -9223372036854775808 MAXVALUE -1;

-- The jobs that become ready when others of their key end. In lanes, as `ready` is, and the same one is
-- written to: each look at a key wades through its dead rows.
CREATE TABLE wsup.blocked (
    job       bigint   NOT NULL,
    rank      integer  NOT NULL,           -- -1 - priority
    attempt   smallint NOT NULL,
    key_limit smallint NOT NULL,
    lane      smallint NOT NULL,
    key       text COLLATE "C" NOT NULL,
    queue     text COLLATE "C" NOT NULL
) PARTITION BY LIST (lane);

-- Who has a turn: jobs that are ready or claimed.
CREATE TABLE wsup.key_holder (
    job       bigint   NOT NULL,
    key_limit smallint NOT NULL,
    lane      smallint NOT NULL,
    key       text COLLATE "C" NOT NULL
) PARTITION BY LIST (lane);

DO $lanes$
DECLARE
    part text;
BEGIN
    FOR lane IN 0..3 LOOP
        FOREACH part IN ARRAY '{blocked,key_holder}'::text[] LOOP
            EXECUTE format('CREATE TABLE wsup.%1$s_%2$s PARTITION OF wsup.%1$s FOR VALUES IN (%2$s)'
                ' WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,'
                ' autovacuum_vacuum_cost_delay = 0)', part, lane);
            EXECUTE format('CREATE UNIQUE INDEX %1$s_%2$s_order ON wsup.%1$s_%2$s (%3$s)',
                part, lane, CASE part WHEN 'blocked' THEN 'key, rank, job' ELSE 'key, job' END);
            EXECUTE format('ALTER TABLE wsup.%1$s_%2$s REPLICA IDENTITY USING INDEX %1$s_%2$s_order',
                part, lane);
        END LOOP;
    END LOOP;
END
$lanes$;

-- Between which lanes all stand that are in line or have a turn; NULL: nobody does. The others are empty
-- files, of which not each key needs a look. To be asked by the very statement that looks: by then it has
-- locked all lanes, so that none is truncated before the transaction ends, and then taken its snapshot, so
-- that all that it may see is in these files. Asked earlier, it would miss a turn just handed on to a lane
-- that had been empty.
CREATE FUNCTION wsup.lanes_of_lines(OUT low smallint, OUT high smallint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT min(l.lane), max(l.lane) INTO low, high
      FROM (VALUES (0, pg_relation_size('wsup.blocked_0') + pg_relation_size('wsup.key_holder_0')),
                   (1, pg_relation_size('wsup.blocked_1') + pg_relation_size('wsup.key_holder_1')),
                   (2, pg_relation_size('wsup.blocked_2') + pg_relation_size('wsup.key_holder_2')),
                   (3, pg_relation_size('wsup.blocked_3') + pg_relation_size('wsup.key_holder_3')))
           AS l(lane, bytes)
     WHERE l.bytes > 0;
END
$$;

-- Takes jobs out of their lines, which this transaction has locked there. A place means something within
-- one lane only. Called by functions whose planner settings hold here, too.
DO $make$
DECLARE
    leave text := '';
BEGIN
    FOR lane IN 0..3 LOOP
        leave := leave || format($lane$
    IF %1$s = ANY (lanes) THEN
        RETURN QUERY DELETE FROM wsup.blocked_%1$s b
         WHERE b.ctid = ANY (ARRAY(
            SELECT u.place FROM unnest(lanes, places) AS u(lane, place) WHERE u.lane = %1$s))
        RETURNING b.job, b.rank, b.attempt, b.key_limit, b.key, b.queue;
    END IF;$lane$, lane);
    END LOOP;
    EXECUTE format($function$
        CREATE FUNCTION wsup.leave_line(lanes smallint[], places tid[])
        RETURNS TABLE (job bigint, rank integer, attempt smallint, key_limit smallint, key text, queue text)
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS %L $function$,
        E'#variable_conflict use_column\nBEGIN' || leave || E'\nEND');
END
$make$;

-- The limits that somebody has set, which go before those that jobs bring with them.
CREATE TABLE wsup.key_limit (
    key       text COLLATE "C" PRIMARY KEY,
    key_limit smallint NOT NULL CHECK (key_limit >= 1)
);
-- Whether there was ever one: until then, nobody has a turn of a serial key beside another.
CREATE SEQUENCE wsup.key_limit_used AS bigint;
-- Whether there was ever a job whose key is not serial: until then, no limit contradicts another.
CREATE SEQUENCE wsup.key_not_serial AS bigint;

-- A supervisor that lets others in (wsup.taker) is not called for what it puts into `ready`: it looks by
-- itself. Where it can't do everything at once, it is told to come back.
CREATE FUNCTION wsup.come_back() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_notify(wsup.channel(t.id::integer), 'marks')
      FROM current_setting('wsup.taker', true) AS t(id) WHERE t.id <> ''
$$;

CREATE FUNCTION wsup.mark_keys(keys text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF keys <> '{}' THEN
        PERFORM wsup.come_back();
        -- One for many of them: a row of such a size that it stays in one piece.
        INSERT INTO wsup.ready (job, rank, attempt, lane, queue, key, keys)
        SELECT nextval('wsup.key_mark'), 0, 0, l.last_value % 4, E'\001',
               CASE WHEN m.n = 1 THEN m.keys[1] END, CASE WHEN m.n > 1 THEN m.keys END
          FROM wsup.lane_turn l,
               (SELECT array_agg(k.key) AS keys, count(*) AS n
                  FROM unnest(mark_keys.keys) WITH ORDINALITY AS k(key, nr)
                 GROUP BY (k.nr - 1) / 64) m;
    END IF;
END
$$;

-- Puts jobs with keys into their lines, and marks these: whoever sees the mark sees the jobs. A new
-- one (no `attempts`) must not contradict the limit of those that have not ended.
CREATE FUNCTION wsup.line_up(jobs bigint[], attempts smallint[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    keys text[];
    odd  record;
BEGIN
    IF EXISTS (SELECT FROM wsup.limits) THEN
        SELECT * INTO line_up.jobs, line_up.attempts FROM wsup.line_up_limited(jobs, attempts);
    END IF;
    IF EXISTS (SELECT FROM wsup.queue_order) THEN
        SELECT * INTO line_up.jobs, line_up.attempts FROM wsup.line_up_by_turns(jobs, attempts);
    END IF;
    IF line_up.attempts IS NULL AND EXISTS (
        SELECT FROM unnest(line_up.jobs) AS u(job) JOIN wsup.job j ON j.id = u.job WHERE j.key_limit > 1)
    THEN
        PERFORM nextval('wsup.key_not_serial');
    END IF;
    IF line_up.attempts IS NULL AND (SELECT s.is_called FROM wsup.key_not_serial s) THEN
        -- A caller may leave the transaction open for long. No lane that was only looked at must stay
        -- locked as long: these locks end with the block, because it fails.
        BEGIN
            -- The last in line is looked at: no dead rows are before it, seen from that end.
            WITH lanes AS MATERIALIZED (SELECT * FROM wsup.lanes_of_lines()),
            low AS (SELECT l.low FROM lanes l), high AS (SELECT l.high FROM lanes l)
            SELECT n.key, CASE f.key_limit WHEN n.least THEN n.most ELSE n.least END AS wanted,
                   coalesce(f.key_limit, n.most) AS found INTO odd
              FROM (SELECT j.key, min(coalesce(j.key_limit, 1)) AS least, max(coalesce(j.key_limit, 1)) AS most
                      FROM unnest(line_up.jobs) AS u(job) JOIN wsup.job j ON j.id = u.job
                     GROUP BY j.key) n
              LEFT JOIN LATERAL (
                    (SELECT b.key_limit FROM wsup.blocked b
                      WHERE b.key = n.key AND b.lane BETWEEN (TABLE low) AND (TABLE high)
                      ORDER BY b.key DESC, b.rank DESC, b.job DESC LIMIT 1)
                    UNION ALL
                    (SELECT h.key_limit FROM wsup.key_holder h
                      WHERE h.key = n.key AND h.lane BETWEEN (TABLE low) AND (TABLE high)
                      ORDER BY h.key DESC, h.job DESC LIMIT 1)
                    LIMIT 1) f ON true
             WHERE (n.least <> n.most OR n.least <> f.key_limit)
               AND NOT EXISTS (SELECT FROM wsup.key_limit o WHERE o.key = n.key)
             LIMIT 1;
            RAISE SQLSTATE 'WSUPL';
        EXCEPTION WHEN SQLSTATE 'WSUPL' THEN NULL;
        END;
        IF odd.key IS NOT NULL THEN
            RAISE invalid_parameter_value USING MESSAGE = format(
                'key %s: key_limit %s contradicts its other jobs, which have %s: wait until they have '
                'ended, or set one for all: wsup keys set',
                quote_literal(odd.key), odd.wanted, odd.found);
        END IF;
    END IF;
    WITH put AS (
        INSERT INTO wsup.blocked AS b (job, rank, attempt, key_limit, lane, key, queue)
        SELECT j.id, -1 - j.priority, coalesce(line_up.attempts[u.nr], 1::smallint),
               coalesce(j.key_limit, 1::smallint), l.last_value % 4, j.key, j.queue
          FROM wsup.lane_turn l, unnest(line_up.jobs) WITH ORDINALITY AS u(job, nr)
          JOIN wsup.job j ON j.id = u.job
        RETURNING b.key)
    SELECT array_agg(DISTINCT p.key) INTO keys FROM put p;
    PERFORM wsup.mark_keys(keys);
END
$$;

-- Lets the first in line in: for each key as many as there is room for, at most `most` (NULL: no other
-- bound). Who holds the lock of a key may fill its room. Who frees turns may without it let in as many:
-- until it commits, the others see these turns as taken, and then as taken again. Waits for nobody: a
-- row that is locked is being cancelled, or let in by another. Tells what room there was, and how many
-- have filled it.
CREATE FUNCTION wsup.let_in(keys text[], most bigint[])
RETURNS TABLE (key text, room bigint, jobs bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    fair text[];
    aged text[];
    places jsonb;                          -- of the keys, in the order in which they were given
    limited CONSTANT boolean := EXISTS (SELECT FROM wsup.limits);
BEGIN
    SELECT array_agg(o.queue), array_agg(o.queue) FILTER (WHERE o.ageing IS NOT NULL)
      INTO fair, aged FROM wsup.queue_order o WHERE o.fair;
    IF fair IS NOT NULL THEN
        SELECT jsonb_object_agg(k.key, k.nr) INTO places
          FROM unnest(let_in.keys) WITH ORDINALITY AS k(key, nr);
    END IF;
    RETURN QUERY
    WITH lanes AS MATERIALIZED (SELECT * FROM wsup.lanes_of_lines()),
    low AS (SELECT l.low FROM lanes l), high AS (SELECT l.high FROM lanes l),
    room AS MATERIALIZED (
        SELECT k.key, h.held, h.least, o.key_limit AS given,
               -- The first in line is asked for its limit only if nobody else has one.
               coalesce(let_in.most[k.nr], greatest(0, coalesce(o.key_limit, least(h.least, (
                   SELECT b.key_limit FROM wsup.blocked b
                    WHERE b.key = k.key AND b.lane BETWEEN (TABLE low) AND (TABLE high)
                    ORDER BY b.rank, b.job LIMIT 1))) - h.held)) AS n
          FROM unnest(let_in.keys) WITH ORDINALITY AS k(key, nr)
         CROSS JOIN LATERAL (SELECT count(*) AS held, min(t.key_limit) AS least FROM wsup.key_holder t
                              WHERE t.key = k.key AND t.lane BETWEEN (TABLE low) AND (TABLE high)) h
          LEFT JOIN wsup.key_limit o ON o.key = k.key),
    first AS MATERIALIZED (
        SELECT b.lane, b.at, row_number() OVER line + r.held
                     <= coalesce(r.given, least(r.least, first_value(b.key_limit) OVER line)) AS fits
          FROM room r
         CROSS JOIN LATERAL (
            SELECT s.lane, s.ctid AS at, s.rank, s.job, s.key_limit FROM wsup.blocked s
             WHERE s.key = r.key AND s.lane BETWEEN (TABLE low) AND (TABLE high)
             ORDER BY s.rank, s.job LIMIT r.n FOR UPDATE SKIP LOCKED) b
        WINDOW line AS (PARTITION BY r.key ORDER BY b.rank, b.job)),
    freed AS MATERIALIZED (
        SELECT * FROM wsup.leave_line(ARRAY(SELECT f.lane FROM first f WHERE f.fits),
                                      ARRAY(SELECT f.at FROM first f WHERE f.fits))),
    held AS (
        INSERT INTO wsup.key_holder (job, key_limit, lane, key)
        SELECT f.job, f.key_limit, l.last_value % 4, f.key FROM wsup.lane_turn l, freed f),
    gated AS MATERIALIZED (
        SELECT g.job FROM wsup.gated(ARRAY(SELECT f.job FROM freed f)) AS g(job) WHERE limited),
    made AS (
        INSERT INTO wsup.ready (job, rank, attempt, lane, queue, real_job, key)
        -- In a fair queue, behind all that is there by now.
        SELECT CASE WHEN f.turns THEN nextval('wsup.job_id') ELSE f.job END,
               CASE WHEN f.queue = ANY (aged) THEN wsup.rank_now(f.job) ELSE f.rank END,
               f.attempt, l.last_value % 4, f.queue,
               CASE WHEN f.turns THEN f.job END, CASE WHEN f.key < ' ' THEN f.key END
          FROM wsup.lane_turn l,
               (SELECT g.*, g.queue = ANY (fair) OR g.key < ' ' AS turns
                  FROM freed g ORDER BY (places -> g.key)::integer, g.rank, g.job) f
         WHERE NOT limited OR f.job <> ALL (ARRAY(SELECT g.job FROM gated g))),
    sent AS MATERIALIZED (
        SELECT wsup.go_on(array_agg(f.job), array_agg(f.attempt), '', true)
          FROM freed f JOIN gated g ON g.job = f.job HAVING count(*) > 0)
    SELECT c.key, sum(c.room)::bigint, sum(c.jobs)::bigint
      FROM (SELECT r.key, r.n AS room, 0 AS jobs FROM room r
            UNION ALL SELECT f.key, 0, 1 FROM freed f) c
     WHERE (SELECT count(*) FROM sent) IS NOT NULL
     GROUP BY c.key;
END
$$;

-- How many keys one transaction may lock at a time: a share of the server's lock table.
CREATE FUNCTION wsup.most_key_locks() RETURNS integer
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT current_setting('max_locks_per_transaction')::integer
         * current_setting('max_connections')::integer / 8
$$;

-- Fills the room of keys whose locks this transaction holds. Where some in line are locked, and may
-- stay there, somebody has to come back.
CREATE FUNCTION wsup.fill_keys(keys text[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    short text[];
    came  bigint;
BEGIN
    -- Most keys that are marked are serial, and busy: who ends the turn hands it on.
    keys := ARRAY(
        WITH lanes AS MATERIALIZED (SELECT * FROM wsup.lanes_of_lines()),
        low AS (SELECT l.low FROM lanes l), high AS (SELECT l.high FROM lanes l)
        SELECT u.key FROM unnest(fill_keys.keys) AS u(key)
         WHERE EXISTS (SELECT FROM wsup.key_limit o WHERE o.key = u.key)
            OR NOT EXISTS (
                SELECT FROM wsup.key_holder h
                 WHERE h.key = u.key AND h.lane BETWEEN (TABLE low) AND (TABLE high) AND h.key_limit = 1
                   AND EXISTS (SELECT FROM wsup.job j WHERE j.id = h.job)));
    IF keys = '{}' THEN
        RETURN 0;
    END IF;
    -- Who was deleted by hand while it had a turn will never end it.
    WITH lanes AS MATERIALIZED (SELECT * FROM wsup.lanes_of_lines()),
    low AS (SELECT l.low FROM lanes l), high AS (SELECT l.high FROM lanes l)
    DELETE FROM wsup.key_holder h USING unnest(keys) AS u(key)
     WHERE h.key = u.key AND h.lane BETWEEN (TABLE low) AND (TABLE high)
       AND NOT EXISTS (SELECT FROM wsup.job j WHERE j.id = h.job);
    SELECT array_agg(l.key) FILTER (WHERE l.jobs < l.room), coalesce(sum(l.jobs), 0)
      INTO short, came FROM wsup.let_in(keys, NULL) l;
    PERFORM wsup.mark_keys(ARRAY(
        SELECT u.key FROM unnest(short) AS u(key)
         WHERE EXISTS (SELECT FROM wsup.blocked b WHERE b.key = u.key)));
    RETURN came;
END
$$;

-- Ends the turns of these jobs, and hands on those of serial keys: where the only one that may run has
-- ended, the first in line has room, whatever its own limit is. Tells which turns of which keys are left
-- to be handed on, the keys in whose line nobody was, and how many jobs were let in. For a supervisor that
-- has told its room (sql/queries/hand_over.sql) they needn't become ready first: its pull, which follows
-- in this transaction, takes them as they are (`wsup.handed`: jobs, then their ranks, then attempts).
CREATE FUNCTION wsup.hand_on_serial(ended bigint[], OUT keys text[], OUT turns bigint[], OUT idle text[],
                                    OUT came bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    fair text[];
    aged text[];
    room CONSTANT integer := nullif(current_setting('wsup.room', true), '');
    queues text[];                         -- whose jobs are handed over
    handed bigint[];
    -- While a snapshot keeps what has left deep lines, more than lanes ever have that can be cleared, to look
    -- for the first in each line takes long. Then it is done for a tenth of the time only, and in between
    -- one looks behind the job that has ended: what is more urgent may have to wait for some seconds. The
    -- session remembers until when, in seconds since the epoch.
    deep CONSTANT boolean := pg_stat_get_dead_tuples('wsup.blocked_0'::regclass)
                           + pg_stat_get_dead_tuples('wsup.blocked_1'::regclass)
                           + pg_stat_get_dead_tuples('wsup.blocked_2'::regclass)
                           + pg_stat_get_dead_tuples('wsup.blocked_3'::regclass) >= 50000;
    sparing CONSTANT boolean := deep AND clock_timestamp()
        < to_timestamp(coalesce(nullif(current_setting('wsup.lines', true), ''), '0')::double precision);
    began timestamptz;
BEGIN
    SELECT array_agg(o.queue), array_agg(o.queue) FILTER (WHERE o.ageing IS NOT NULL)
      INTO fair, aged FROM wsup.queue_order o WHERE o.fair;
    IF cardinality(ended) <= room AND NOT EXISTS (SELECT FROM wsup.cancel_request) THEN
        queues := ARRAY(SELECT q.queue FROM unnest(current_setting('wsup.room_of')::text[]) AS q(queue)
                         WHERE q.queue <> ALL (ARRAY(SELECT p.queue FROM wsup.paused_queue p))
                           AND q.queue <> ALL (ARRAY(SELECT o.queue FROM wsup.queue_order o)));
    END IF;
    began := clock_timestamp();
    WITH lanes AS MATERIALIZED (SELECT * FROM wsup.lanes_of_lines()),
    low AS (SELECT l.low FROM lanes l), high AS (SELECT l.high FROM lanes l),
    turn AS (
        DELETE FROM wsup.key_holder h
         USING unnest(hand_on_serial.ended) AS u(job) JOIN wsup.job j ON j.id = u.job
         WHERE h.key = j.key AND h.job = j.id AND h.lane BETWEEN (TABLE low) AND (TABLE high)
        RETURNING h.key, h.job, h.key_limit, -1 - j.priority AS rank),
    -- A limit that was set for the key, and is so no longer, may have let in more of them.
    spent AS MATERIALIZED (
        SELECT t.key, CASE WHEN sparing THEN t.rank ELSE -2147483648 END AS rank,
               CASE WHEN sparing THEN t.job ELSE -1 END AS job, t.key_limit = 1 AND (
                   NOT (SELECT s.is_called FROM wsup.key_limit_used s) OR NOT EXISTS (
                   SELECT FROM wsup.key_holder o WHERE o.key = t.key AND o.job <> t.job
                      AND o.lane BETWEEN (TABLE low) AND (TABLE high))) AS serial
          FROM turn t),
    first AS MATERIALIZED (
        SELECT b.lane, b.at FROM spent t
         CROSS JOIN LATERAL (
            SELECT s.lane, s.ctid AS at FROM wsup.blocked s
             WHERE s.key = t.key AND (s.rank, s.job) > (t.rank, t.job)
               AND s.lane BETWEEN (TABLE low) AND (TABLE high)
             ORDER BY s.rank, s.job LIMIT 1 FOR UPDATE SKIP LOCKED) b
         WHERE t.serial),
    next AS MATERIALIZED (
        SELECT n.*, coalesce(n.queue = ANY (queues), false) AS is_handed
          FROM wsup.leave_line(ARRAY(SELECT f.lane FROM first f), ARRAY(SELECT f.at FROM first f)) n),
    held AS (
        INSERT INTO wsup.key_holder (job, key_limit, lane, key)
        SELECT n.job, n.key_limit, l.last_value % 4, n.key FROM wsup.lane_turn l, next n),
    made AS (
        INSERT INTO wsup.ready (job, rank, attempt, lane, queue, real_job)
        -- In a fair queue, behind all that is there by now.
        SELECT CASE WHEN f.turns THEN nextval('wsup.job_id') ELSE f.job END,
               CASE WHEN f.queue = ANY (aged) THEN wsup.rank_now(f.job) ELSE f.rank END,
               f.attempt, l.last_value % 4, f.queue, CASE WHEN f.turns THEN f.job END
          FROM wsup.lane_turn l,
               (SELECT n.*, n.queue = ANY (fair) AS turns
                  FROM next n WHERE NOT n.is_handed ORDER BY n.rank, n.job) f)
    SELECT l.keys, l.turns, l.idle, (SELECT count(*) FROM next),
           (SELECT array_agg(n.job) || array_agg(n.rank::bigint) || array_agg(n.attempt::bigint)
              FROM next n WHERE n.is_handed)
      INTO keys, turns, idle, came, handed
      FROM (SELECT array_agg(k.key) FILTER (WHERE NOT k.serial) AS keys,
                   array_agg(k.n) FILTER (WHERE NOT k.serial) AS turns,
                   array_agg(k.key) FILTER (WHERE k.serial) AS idle
              FROM (SELECT r.key, r.serial, count(*) AS n
                      FROM (SELECT t.key, t.serial FROM spent t EXCEPT ALL SELECT n.key, true FROM next n) r
                     -- Nearly always each turn has gone to somebody.
                     WHERE (SELECT count(*) FROM spent) > (SELECT count(*) FROM next)
                     GROUP BY r.key, r.serial) k) l;
    IF deep AND NOT sparing THEN
        PERFORM set_config('wsup.lines', extract(epoch FROM
            began + least(10 * (clock_timestamp() - began), interval '10 s'))::text, false);
    END IF;
    IF handed IS NOT NULL THEN
        PERFORM set_config('wsup.handed', handed::text, true);
    END IF;
END
$$;

-- These jobs hold their turns no longer; each turn goes to the next in line. Where there is none, it is
-- made sure that nobody is just joining, or, if another one has the key in hand, a mark is left.
-- Without `at_once` there are only marks: for a caller who may leave the transaction open. Returns how
-- many were let in.
CREATE FUNCTION wsup.end_turns(jobs bigint[], at_once boolean DEFAULT true) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    keys  text[];
    turns bigint[];
    idle  text[];
    gates text[];                          -- of limits (0016_limits.sql)
    came  bigint := 0;
BEGIN
    IF EXISTS (SELECT FROM wsup.limits) THEN
        SELECT f.keys, f.turns, f.gates INTO keys, turns, gates FROM wsup.free_turns(jobs) f;
        came := wsup.serve_gates(gates, at_once);
    ELSIF at_once AND NOT EXISTS (SELECT FROM wsup.key_limit) THEN
        SELECT s.keys, s.turns, s.idle, s.came INTO keys, turns, idle, came FROM wsup.hand_on_serial(jobs) s;
        came := came + wsup.look_again(idle);
    ELSE
        WITH freed AS (
            DELETE FROM wsup.key_holder h
             USING unnest(end_turns.jobs) AS u(job) JOIN wsup.job j ON j.id = u.job
             WHERE h.key = j.key AND h.job = j.id
            RETURNING h.key)
        SELECT array_agg(f.key), array_agg(f.n) INTO keys, turns
          FROM (SELECT freed.key, count(*) AS n FROM freed GROUP BY freed.key) f;
    END IF;
    IF keys IS NULL THEN
        RETURN came;
    ELSIF at_once THEN
        RETURN came + wsup.hand_on(keys, turns);
    END IF;
    PERFORM wsup.mark_keys(keys);
    RETURN came;
END
$$;

-- Hands on turns that this transaction has ended: so many of each key. Returns how many were let in.
CREATE FUNCTION wsup.hand_on(keys text[], turns bigint[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    came bigint;
BEGIN
    -- From here on those that handed over fewer turns than they had.
    SELECT array_agg(s.key) FILTER (WHERE s.turns > s.jobs), sum(s.jobs) INTO keys, came
      FROM (SELECT c.key, sum(c.turns) AS turns, sum(c.jobs) AS jobs
              FROM (SELECT u.key, u.n AS turns, 0 AS jobs FROM unnest(keys, turns) AS u(key, n)
                    UNION ALL SELECT l.key, 0, l.jobs FROM wsup.let_in(keys, turns) l) c
             GROUP BY c.key) s;
    RETURN came + wsup.look_again(keys);
END
$$;

-- The lines of these keys have come to their ends, as far as this transaction sees: who could not see
-- that it has ended their turns may just have joined. Returns how many were let in.
CREATE FUNCTION wsup.look_again(keys text[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    mine text[];
    came bigint := 0;
BEGIN
    SELECT array_agg(l.key) FILTER (WHERE l.got), array_agg(l.key) FILTER (WHERE NOT l.got)
      INTO mine, keys
      FROM (SELECT u.key, CASE WHEN u.nr <= wsup.most_key_locks()
                               THEN pg_try_advisory_xact_lock(hashtextextended(u.key, 0))
                               ELSE false END AS got
              FROM unnest(keys) WITH ORDINALITY AS u(key, nr)) l;
    IF mine IS NOT NULL THEN
        came := wsup.fill_keys(mine);
    END IF;
    PERFORM wsup.mark_keys(keys);
    RETURN came;
END
$$;

-- Serves the keys that are marked, but for those that another one has in hand; their marks stay. They
-- are deleted before the lines are looked at: what is marked later is not overlooked. Of many enqueues
-- each may have marked the same keys: so these are taken together.
CREATE FUNCTION wsup.work_off_marks() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    most   CONSTANT integer := wsup.most_key_locks();
    lanes  smallint[];
    places tid[];
    keys   text[];
    gates  text[];                         -- of limits (0016_limits.sql), and from where to look
    ranks  integer[];
    jobs   bigint[];
    left_over boolean;
BEGIN
    WITH marks AS MATERIALIZED (
        SELECT f.* FROM (
            SELECT r.lane, r.at, r.job, r.keys,
                   sum(cardinality(r.keys)) OVER (ORDER BY r.rank, r.job) AS n
              FROM (SELECT t.lane, t.ctid AS at, t.rank, t.job, coalesce(t.keys, ARRAY[t.key]) AS keys
                      FROM wsup.ready t WHERE t.queue = E'\001'
                     ORDER BY t.rank, t.job LIMIT 10 * most) r) f
         WHERE f.n - cardinality(f.keys) < 10 * most),
    -- Of the marks of a key, the first one asks for its lock.
    asked AS (
        SELECT e.lane, e.at, e.key, e.nr = 1 AND e.key_nr <= most
               AND pg_try_advisory_xact_lock(hashtextextended(e.key, 0)) AS got
          FROM (SELECT o.*, dense_rank() OVER (ORDER BY o.since, o.key) AS key_nr
                  FROM (SELECT m.lane, m.at, u.key, min(m.job) OVER mine AS since,
                               row_number() OVER mine AS nr
                          FROM marks m CROSS JOIN LATERAL unnest(m.keys) AS u(key)
                        WINDOW mine AS (PARTITION BY u.key ORDER BY m.job)) o) e),
    known AS MATERIALIZED (
        SELECT a.lane, a.at, a.key, bool_or(a.got) OVER (PARTITION BY a.key) AS got FROM asked a)
    -- A mark of several keys stays until all of them can be served.
    SELECT array_agg(w.lane) FILTER (WHERE w.got), array_agg(w.at) FILTER (WHERE w.got),
           (SELECT array_agg(DISTINCT k.key) FROM known k WHERE k.got),
           NOT bool_and(w.got) OR (SELECT count(*) = 10 * most OR max(m.n) >= 10 * most FROM marks m)
      INTO lanes, places, keys, left_over
      FROM (SELECT k.lane, k.at, bool_and(k.got) AS got FROM known k GROUP BY k.lane, k.at) w;
    IF left_over THEN
        PERFORM wsup.come_back();
    END IF;
    IF keys IS NULL THEN
        RETURN;
    END IF;
    FOR one IN 0..3 LOOP                   -- a place means something within one lane only
        CONTINUE WHEN NOT coalesce(one = ANY (lanes), false);
        WITH gone AS (
            DELETE FROM wsup.ready r
             WHERE r.lane = one AND r.queue = E'\001'
               AND r.ctid = ANY (ARRAY(SELECT u.at FROM unnest(lanes, places) AS u(lane, at)
                                        WHERE u.lane = one))
            RETURNING r.key, r.place)
        SELECT gates || array_agg(g.key), ranks || array_agg(g.place[1]::integer),
               jobs || array_agg(g.place[2])
          INTO gates, ranks, jobs
          FROM (SELECT gone.key, min(gone.place) AS place FROM gone
                 WHERE gone.key >= E'\005' AND gone.key < ' '
                 GROUP BY gone.key) g;
    END LOOP;
    keys := ARRAY(SELECT k.key FROM unnest(keys) AS k(key)
                   WHERE k.key < E'\005' COLLATE "C" OR k.key >= ' ' COLLATE "C");
    IF keys <> '{}' THEN
        PERFORM wsup.fill_keys(keys);
    END IF;
    PERFORM wsup.serve(g.gate, g.place[1]::integer, g.place[2])
       FROM (SELECT u.gate, min(ARRAY[u.rank, u.job]) AS place
               FROM unnest(gates, ranks, jobs) AS u(gate, rank, job) GROUP BY u.gate) g;
END
$$;

-- How many jobs of a key run at once from now on, whatever they say themselves; NULL: what they say.
CREATE FUNCTION wsup.set_key_limit(key text, key_limit integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    IF key IS NULL OR key_limit NOT BETWEEN 1 AND 32767 THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'wsup.set_key_limit: key_limit %s of key %s is not between 1 and 32767',
            key_limit, quote_nullable(key));
    ELSIF key_limit IS NULL THEN
        DELETE FROM wsup.key_limit l WHERE l.key = set_key_limit.key;
    ELSE
        PERFORM nextval('wsup.key_limit_used');
        INSERT INTO wsup.key_limit AS l (key, key_limit) VALUES (key, key_limit)
        ON CONFLICT ON CONSTRAINT key_limit_pkey DO UPDATE SET key_limit = excluded.key_limit;
    END IF;
    PERFORM wsup.mark_keys(ARRAY[key]);
    IF EXISTS (SELECT FROM wsup.queue_order) THEN  -- with a limit, jobs stand in another line than without
        PERFORM wsup.line_up_anew(ARRAY(
            SELECT b.job FROM wsup.blocked b
             WHERE b.key = set_key_limit.key
                OR b.key IN (SELECT wsup.line_of(o.queue, set_key_limit.key) FROM wsup.queue_order o)));
    END IF;
END
$$;

-- Why a job is blocked: no row if it isn't.
CREATE FUNCTION wsup.in_line(job bigint)
RETURNS TABLE (attempt smallint, key_limit smallint, turns_held_by bigint[], jobs_before bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT b.attempt, coalesce(l.key_limit, least(b.key_limit, h.least)), h.jobs,
           (SELECT count(*) FROM wsup.blocked f
             WHERE f.key = b.key AND (f.rank, f.job) < (b.rank, b.job))
      FROM wsup.job j
      JOIN wsup.blocked b ON b.key = j.key AND b.rank = -1 - j.priority AND b.job = j.id
     CROSS JOIN LATERAL (SELECT array_agg(t.job ORDER BY t.job) AS jobs, min(t.key_limit) AS least
                           FROM wsup.key_holder t WHERE t.key = b.key) h
      LEFT JOIN wsup.key_limit l ON l.key = b.key
     WHERE j.id = in_line.job
    UNION ALL
    SELECT b.attempt, NULL, ARRAY(SELECT t.job FROM wsup.key_holder t WHERE t.key = b.key),
           (SELECT count(*) FROM wsup.blocked f
             WHERE f.key = b.key AND (f.rank, f.job) < (b.rank, b.job))
      FROM wsup.blocked b WHERE b.job = in_line.job AND b.key < ' '
$$;
