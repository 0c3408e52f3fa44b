-- What running jobs say of themselves: how far they are, what a later attempt is to know, what they
-- have logged. Rows of jobs that say nothing are nowhere here.

-- A row is updated a few times a second at most, by the supervisor that has the job; so rows stay
-- few versions long, on their page.
CREATE TABLE wsup.progress (
    job      bigint      PRIMARY KEY,
    attempt  smallint    NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    fraction real        NOT NULL,           -- from 0 to 1
    message  text        NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE wsup.checkpoint (
    job      bigint      PRIMARY KEY,
    attempt  smallint    NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    value    json        NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- The lines that a job had written when a turn took them.
CREATE TABLE wsup.log (
    job      bigint      NOT NULL,
    claim    bigint      NOT NULL,           -- claims and pieces ascend in time
    piece    bigint      NOT NULL,
    attempt  smallint    NOT NULL,
    lines    json        NOT NULL,           -- [[seconds since 1970, source, level or null, text], …]
    PRIMARY KEY (job, claim, piece)
);

-- Stores what is new of jobs, the i-th elements belonging together; NULL: nothing new. As with results,
-- only jobs still in their claim count, the claim being locked until the commit; and those that their
-- own tasks have ended (wsup.finish) meanwhile. A piece that is sent again is known by its number.
-- Nobody is waited for: claims that another transaction has locked are returned. wsup.settle passes
-- them by, too, in this transaction: no end goes before the notes of its job.
CREATE FUNCTION wsup.take_notes(
    supervisor integer, claims bigint[], jobs bigint[], attempts smallint[], pieces bigint[],
    fractions real[], messages text[], checkpoints text[], lines text[],
    holders integer[] DEFAULT NULL, OUT locked bigint[]
) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    ours integer[];
    seen bigint[];
BEGIN
    WITH held AS MATERIALIZED (
        SELECT c.id, c.jobs
          FROM (SELECT DISTINCT u.claim, coalesce(u.holder, take_notes.supervisor) AS holder
                  FROM unnest(claims, holders) AS u(claim, holder)) u
          JOIN wsup.claim c ON c.supervisor = u.holder AND c.id = u.claim
           FOR UPDATE OF c SKIP LOCKED)
    SELECT array_agg(i ORDER BY i), (SELECT array_agg(h.id) FROM held h) INTO ours, seen
      FROM generate_subscripts(take_notes.jobs, 1) AS i
      JOIN held h ON h.id = claims[i] AND h.jobs @> take_notes.jobs[i];

    IF coalesce(cardinality(ours), 0) < cardinality(take_notes.jobs) THEN
        SELECT array_agg(DISTINCT c.id) INTO locked
          FROM unnest(claims, holders) AS u(claim, holder)
          JOIN wsup.claim c ON c.supervisor = coalesce(u.holder, take_notes.supervisor) AND c.id = u.claim
         WHERE NOT c.id = ANY (coalesce(seen, '{}'));
        ours := ARRAY(
            SELECT * FROM unnest(ours)
             UNION ALL
            SELECT i FROM generate_subscripts(take_notes.jobs, 1) AS i
              JOIN wsup.outcome o ON o.job = take_notes.jobs[i]
             WHERE o.supervisor = coalesce(holders[i], take_notes.supervisor) AND o.attempt = attempts[i]
               AND o.state = 'succeeded' AND NOT claims[i] = ANY (coalesce(locked, '{}'))
               AND NOT i = ANY (coalesce(ours, '{}')));
        IF locked IS NOT NULL THEN
            PERFORM set_config('wsup.locked', locked::text, true);
        END IF;
    END IF;

    INSERT INTO wsup.progress AS p (job, attempt, fraction, message)
    SELECT DISTINCT ON (take_notes.jobs[i])
           take_notes.jobs[i], attempts[i], fractions[i], messages[i]
      FROM unnest(ours) AS i WHERE fractions[i] IS NOT NULL
     ORDER BY take_notes.jobs[i], i DESC
    ON CONFLICT ON CONSTRAINT progress_pkey DO UPDATE
       SET attempt = excluded.attempt, at = excluded.at, fraction = excluded.fraction,
           message = excluded.message
     WHERE (p.attempt, p.fraction, p.message)
           IS DISTINCT FROM (excluded.attempt, excluded.fraction, excluded.message);

    INSERT INTO wsup.checkpoint AS k (job, attempt, value)
    SELECT DISTINCT ON (take_notes.jobs[i])
           take_notes.jobs[i], attempts[i], checkpoints[i]::json
      FROM unnest(ours) AS i WHERE checkpoints[i] IS NOT NULL
     ORDER BY take_notes.jobs[i], i DESC
    ON CONFLICT ON CONSTRAINT checkpoint_pkey DO UPDATE
       SET attempt = excluded.attempt, at = excluded.at, value = excluded.value
     WHERE (k.attempt, k.value::text) IS DISTINCT FROM (excluded.attempt, excluded.value::text);

    INSERT INTO wsup.log (job, claim, piece, attempt, lines)
    SELECT take_notes.jobs[i], claims[i], pieces[i], attempts[i], take_notes.lines[i]::json
      FROM unnest(ours) AS i WHERE take_notes.lines[i] IS NOT NULL
    ON CONFLICT ON CONSTRAINT log_pkey DO NOTHING;
END
$$;

-- A job's options with its checkpoint, if it has one: so the pull brings it without a column of its
-- own. As text within, for it may hold what jsonb can't.
CREATE FUNCTION wsup.with_checkpoint(job bigint, options json) RETURNS json
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    value text;
BEGIN
    SELECT k.value::text INTO value FROM wsup.checkpoint k WHERE k.job = with_checkpoint.job;
    IF value IS NULL OR json_typeof(options) <> 'object' THEN
        RETURN options;
    ELSIF options IS NULL OR NOT EXISTS (SELECT FROM json_object_keys(options)) THEN
        RETURN json_build_object('checkpoint', value);
    END IF;
    RETURN '{"checkpoint":' || to_json(value) || ',' || substr(ltrim(options::text, E' \t\r\n'), 2);
END
$$;

-- What a job has logged, in order: all of it, or that of one attempt, or what comes after a piece.
-- `source` is a stream, or the name of a logger; `level` is that of a record, NULL for what was printed.
CREATE FUNCTION wsup.logs(job bigint, of_attempt integer DEFAULT NULL,
                          after_claim bigint DEFAULT 0, after_piece bigint DEFAULT 0)
RETURNS TABLE (attempt smallint, at timestamptz, source text, level text, line text,
               claim bigint, piece bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT l.attempt, to_timestamp((u.line->>0)::double precision), u.line->>1, u.line->>2,
           u.line->>3, l.claim, l.piece
      FROM wsup.log l CROSS JOIN LATERAL json_array_elements(l.lines) WITH ORDINALITY AS u(line, nr)
     WHERE l.job = logs.job AND (of_attempt IS NULL OR l.attempt = of_attempt)
       AND (l.claim, l.piece) > (after_claim, after_piece)
     ORDER BY l.claim, l.piece, u.nr
$$;
