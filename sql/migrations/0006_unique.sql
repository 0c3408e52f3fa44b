-- Unique jobs: of a task, at most one with the same key that has not ended; or at most one within
-- a time. Only jobs that have a key come here. Nothing is done when they end: who meets a row looks
-- whether it still counts, and takes it over if not.

-- A row counts until `until`, or, where that is NULL, as long as its job is there and has no outcome.
-- One that doesn't count may be removed at any time.
CREATE TABLE wsup.unique_key (
    task  text COLLATE "C" NOT NULL,
    key   text COLLATE "C" NOT NULL,
    job   bigint NOT NULL,
    until timestamptz,
    PRIMARY KEY (task, key)
) WITH (fillfactor = 70);

-- Does a row of that table, that nobody else can change meanwhile, keep others from its key?
CREATE FUNCTION wsup.key_counts(job bigint, until timestamptz) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE
        WHEN until IS NOT NULL THEN until > clock_timestamp()
        ELSE NOT EXISTS (SELECT FROM wsup.outcome o WHERE o.job = key_counts.job)
             AND EXISTS (SELECT FROM wsup.job j WHERE j.id = key_counts.job)
        END;
END
$$;

-- Takes back a job that has not started, so that it may be enqueued anew under its own id. False if
-- it has. What is just being taken or moved by another one is waited for: some milliseconds.
CREATE FUNCTION wsup.take_back(job bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- In the order in which a job moves, so that it isn't missed while it does.
    DELETE FROM wsup.waiting w WHERE w.job = take_back.job AND w.attempt = 1;
    IF NOT FOUND THEN
        DELETE FROM wsup.ready r USING wsup.job j
         WHERE j.id = take_back.job AND r.attempt = 1
           AND r.queue = j.queue AND r.rank = -1 - j.priority AND r.job = j.id;
        IF NOT FOUND THEN
            DELETE FROM wsup.ready r WHERE r.real_job = take_back.job AND r.attempt = 1;
        END IF;
        IF NOT FOUND AND NOT wsup.take_back_limited(job) THEN
            RETURN false;
        END IF;
    END IF;
    PERFORM wsup.end_limited_turns(ARRAY[job]) WHERE EXISTS (SELECT FROM wsup.limits);
    DELETE FROM wsup.job j WHERE j.id = take_back.job;
    -- Somebody wanted it cancelled while it was on its way back: not what is asked for now.
    DELETE FROM wsup.cancel_request q WHERE q.job = take_back.job;
    RETURN true;
END
$$;

-- Enqueues a job for each of `args`, unless its key, of the same subscript, belongs to another job of
-- the task (a NULL belongs to nobody). Tells for each the job, and what became of it:
--   new        it was made
--   existing   another one has the key, and stays as it was: `on_conflict` is skip, or it has started
--   replaced   another one had the key and had not started: it is now what was asked for here
-- With `on_conflict` raise, the first conflict is the only row, as `conflict`, and nothing was done.
-- `lasts`: how long the key counts; NULL: until the job has ended.
--
-- Keys are taken one by one in their order, so that two calls can't wait for each other. Who asks for
-- a key that an open transaction has taken waits for its end. As its owner: who may enqueue need not
-- be able to look at other jobs.
CREATE FUNCTION wsup.enqueue_once(
    task text, queue text, priority integer, run_at timestamptz, options json, args text[],
    keys text[], on_conflict text, lasts interval
) RETURNS TABLE (item integer, job bigint, made text) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_variable
DECLARE
    ends CONSTANT timestamptz := clock_timestamp() + lasts;
    jobs  bigint[] := ARRAY(SELECT nextval('wsup.job_id') FROM unnest(args));
    fates text[] := array_fill('new'::text, ARRAY[cardinality(args)]);
    texts text[] := args;          -- what is to be inserted; NULL: nothing
    asked record;                  -- a key, and the items that have it
    held  record;                  -- its row, before and after that was locked
    again record;
    first integer;
    other integer;
    fate  text;
BEGIN
    FOR asked IN
        SELECT u.key, array_agg(u.i::integer ORDER BY u.i) AS items
          FROM unnest(keys) WITH ORDINALITY AS u(key, i) WHERE u.key IS NOT NULL
         GROUP BY u.key ORDER BY u.key COLLATE "C"
    LOOP
        first := asked.items[1];
        fate := 'new';
        LOOP
            INSERT INTO wsup.unique_key AS k (task, key, job, until)
            VALUES (task, asked.key, jobs[first], ends)
                ON CONFLICT ON CONSTRAINT unique_key_pkey DO NOTHING;
            EXIT WHEN FOUND;
            SELECT k.job, k.until INTO held FROM wsup.unique_key k
             WHERE k.task = enqueue_once.task AND k.key = asked.key;
            CONTINUE WHEN NOT FOUND;
            IF on_conflict <> 'replace' AND wsup.key_counts(held.job, held.until) THEN
                fate := 'existing';
                EXIT;
            END IF;
            -- Whoever has it locked has perhaps taken it over: then it is looked at anew.
            SELECT k.job, k.until INTO again FROM wsup.unique_key k
             WHERE k.task = enqueue_once.task AND k.key = asked.key FOR UPDATE;
            CONTINUE WHEN NOT FOUND OR again IS DISTINCT FROM held;
            IF wsup.key_counts(held.job, held.until) THEN
                fate := CASE WHEN on_conflict = 'replace' AND wsup.take_back(held.job)
                             THEN 'replaced' ELSE 'existing' END;
                EXIT WHEN fate = 'existing';
                jobs[first] := held.job;
            END IF;
            UPDATE wsup.unique_key k SET job = jobs[first], until = ends
             WHERE k.task = enqueue_once.task AND k.key = asked.key;
            EXIT;
        END LOOP;
        IF on_conflict = 'raise' AND (fate = 'existing' OR cardinality(asked.items) > 1) THEN
            DELETE FROM wsup.unique_key k
             WHERE k.task = enqueue_once.task AND k.key = ANY (keys) AND k.job = ANY (jobs);
            IF fate = 'existing' THEN
                RETURN QUERY SELECT first, held.job, 'conflict';
            ELSE
                RETURN QUERY SELECT asked.items[2], NULL::bigint, 'conflict';
            END IF;
            RETURN;
        END IF;
        fates[first] := fate;
        IF fate = 'existing' THEN
            jobs[first] := held.job;
            texts[first] := NULL;
        ELSIF on_conflict = 'replace' THEN
            texts[first] := args[asked.items[cardinality(asked.items)]];
            fate := 'replaced';
        ELSE
            fate := 'existing';
        END IF;
        FOREACH other IN ARRAY asked.items[2:] LOOP
            jobs[other] := jobs[first];
            fates[other] := fate;
            texts[other] := NULL;
        END LOOP;
    END LOOP;
    INSERT INTO wsup.job AS j (id, run_at, priority, queue, task, args, options)
    SELECT jobs[i], run_at, priority, queue, task, texts[i]::json, options
      FROM generate_subscripts(texts, 1) AS i WHERE texts[i] IS NOT NULL;
    RETURN QUERY SELECT i, jobs[i], fates[i] FROM generate_subscripts(jobs, 1) AS i;
END
$$;
REVOKE EXECUTE ON FUNCTION wsup.enqueue_once(text, text, integer, timestamptz, json, text[], text[],
                                             text, interval) FROM PUBLIC;

-- What wsup.enqueue does for a job with a key.
CREATE FUNCTION wsup.enqueue_unique(
    task text, queue text, priority integer, run_at timestamptz, options json, args text,
    unique_key text, on_conflict text, unique_for interval
) RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    done record;
BEGIN
    IF unique_key IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE =
            'wsup.enqueue: on_conflict and unique_for mean nothing without a unique_key';
    ELSIF length(unique_key) NOT BETWEEN 1 AND 200 THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'wsup.enqueue: unique_key of %s characters: give 1 to 200', length(unique_key));
    ELSIF on_conflict IS NULL OR on_conflict NOT IN ('skip', 'replace', 'raise') THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'wsup.enqueue: on_conflict %s is none of skip, replace, raise', on_conflict);
    ELSIF unique_for <= interval '0' OR unique_for > interval '100 years' THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'wsup.enqueue: unique_for %s is not above 0 and up to 100 years', unique_for);
    END IF;
    SELECT * INTO done FROM wsup.enqueue_once(task, queue, priority, run_at, options, ARRAY[args],
                                              ARRAY[unique_key], on_conflict, unique_for);
    IF done.made = 'conflict' THEN
        RAISE unique_violation USING MESSAGE = format(
            'wsup.enqueue: job %s has the unique key %s of %s', done.job, unique_key, task);
    END IF;
    RETURN done.job;
END
$$;
