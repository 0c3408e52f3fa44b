-- Loose ends between parents and children, tied up in the supervisors' turns; and what a child is given
-- of its parents when it is pulled.

-- In how many seconds loose ends should be looked at; NULL: there are none. The older they are, the
-- rarer: what holds them up may go on for hours.
CREATE FUNCTION wsup.untied() RETURNS double precision
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    RETURN (
        SELECT min(CASE WHEN r.child IS NOT NULL AND r.writers IS NULL THEN 0
                        ELSE least(1, 0.1 * extract(epoch FROM clock_timestamp() - r.made_at)) END)
          FROM (SELECT e.child, e.writers, e.made_at FROM wsup.loose_end e
                 WHERE e.id > (SELECT l.last_value FROM wsup.loose_end_low l)
                 ORDER BY e.id DESC LIMIT 100) r);
END
$$;

-- Ties up to `n` loose ends. A child that was enqueued while its parent ended was seen by neither of the
-- two transactions. Of those that end jobs, the ones that hold a lock on `outcome` at the first look may
-- have looked for children before there was one; the later ones have not. So a child is looked at now,
-- whenever one of those has ended, and for the last time when all of them have.
CREATE FUNCTION wsup.tie_up(n integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    top      bigint;
    low      bigint;
    leaving  boolean;
    active   text[];
    ids      bigint[];
    children bigint[];
    parents  bigint[];
    since    timestamptz;
BEGIN
    -- In this order: what is committed meanwhile is found among the transactions, or among the rows.
    SELECT CASE WHEN s.is_called THEN s.last_value ELSE 0 END INTO top FROM wsup.loose_end_id s;
    SELECT coalesce(array_agg(DISTINCT l.virtualtransaction)
                    FILTER (WHERE l.relation = 'wsup.outcome'::regclass), '{}'),
           coalesce(bool_or(l.relation = 'wsup.loose_end'::regclass), false)
      INTO active, leaving
      FROM pg_catalog.pg_locks l
     WHERE l.relation IN ('wsup.outcome'::regclass, 'wsup.loose_end'::regclass)
       AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                          WHERE d.datname = current_database())
       AND l.mode = 'RowExclusiveLock' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid();

    -- What this transaction removes isn't gone for good yet: it counts at the next look. Nor is anything
    -- said above `top`: there may be one that isn't committed yet, before one that is.
    low := least((SELECT e.id - 1 FROM wsup.loose_end e
                   WHERE e.id > (SELECT l.last_value FROM wsup.loose_end_low l)
                   ORDER BY e.id LIMIT 1), top);
    IF NOT leaving AND low > (SELECT l.last_value + 100 FROM wsup.loose_end_low l) THEN
        PERFORM setval('wsup.loose_end_low', low);
    END IF;

    WITH taken AS MATERIALIZED (
        SELECT e.id, e.child, e.parent, e.made_at FROM wsup.loose_end e
         WHERE e.id > (SELECT l.last_value FROM wsup.loose_end_low l)
           AND (e.parent IS NOT NULL OR e.writers IS NULL OR NOT e.writers <@ active)
         ORDER BY e.id LIMIT n
           FOR UPDATE SKIP LOCKED)
    SELECT array_agg(t.id), array_agg(t.child) FILTER (WHERE t.child IS NOT NULL),
           array_agg(t.parent) FILTER (WHERE t.parent IS NOT NULL), min(t.made_at)
      INTO ids, children, parents, since
      FROM taken t;
    IF ids IS NULL THEN
        RETURN;
    END IF;
    PERFORM wsup.release(array_agg(DISTINCT e.job), since)
       FROM (
        SELECT u.job FROM unnest(parents) AS u(job)
        UNION ALL
        SELECT d.parent FROM unnest(children) AS u(job)
          JOIN wsup.dependency d ON d.child = u.job
          JOIN wsup.outcome o ON o.job = d.parent) e;
    DELETE FROM wsup.loose_end e USING unnest(ids) AS u(id)
     WHERE e.id = u.id
       AND (e.parent IS NOT NULL OR active = '{}' OR NOT e.writers && active
            OR NOT EXISTS (SELECT FROM wsup.child c WHERE c.job = e.child));
    UPDATE wsup.loose_end e
       SET writers = CASE WHEN e.writers IS NULL THEN active
                          ELSE ARRAY(SELECT unnest(e.writers) INTERSECT SELECT unnest(active)) END
      FROM unnest(ids) AS u(id) WHERE e.id = u.id;
END
$$;

-- A child may be free already: whoever sleeps must look.
CREATE FUNCTION wsup.wake_for_loose_end() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM new_ends) THEN
        RETURN NULL;
    ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM pg_notify('wsup', 'waiting');
    ELSE
        PERFORM pg_notify('wsup_' || s.supervisor, 'waiting') FROM wsup.sleeper s;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER wake AFTER INSERT ON wsup.loose_end
    REFERENCING NEW TABLE AS new_ends FOR EACH STATEMENT
    EXECUTE FUNCTION wsup.wake_for_loose_end();
REVOKE EXECUTE ON FUNCTION wsup.wake_for_loose_end() FROM PUBLIC;

-- results ----------------------------------------------------------------------------------------

-- The options of a job that has parents, as the pull hands them on: with [id, state, result] of each
-- parent, in the order in which they were named; without the results where these are more than 256 KiB
-- together, for every child that is pulled brings a copy. As its owner: who runs a job may read what
-- its parents gave, and no other results.
CREATE FUNCTION wsup.options_and_parents(job bigint) RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_variable
DECLARE
    most CONSTANT bigint := 256 * 1024;
    asked   bigint[];
    own     text;
    parents json;
    bytes   bigint;
BEGIN
    SELECT j.after, btrim(j.options::text, E' \n\r\t') INTO asked, own
      FROM wsup.job j WHERE j.id = job;
    -- First what they take as they are stored: what is far too large isn't even unpacked.
    SELECT sum(pg_column_size(o.result)) INTO bytes
      FROM unnest(asked) AS u(id) JOIN wsup.outcome o ON o.job = u.id;
    IF bytes <= most THEN
        SELECT sum(octet_length(o.result::text)) INTO bytes
          FROM unnest(asked) AS u(id) JOIN wsup.outcome o ON o.job = u.id;
    END IF;
    SELECT json_agg(CASE WHEN bytes > most THEN json_build_array(u.id, o.state)
                         ELSE json_build_array(u.id, o.state, o.result) END ORDER BY u.nr)
      INTO parents
      FROM unnest(asked) WITH ORDINALITY AS u(id, nr) LEFT JOIN wsup.outcome o ON o.job = u.id;
    RETURN format('{"parents":%s%s', coalesce(parents, '[]'),
                  CASE WHEN own IS NULL OR own ~ '^\{\s*\}$' THEN '}'
                       ELSE ',' || substr(own, 2) END);
END
$$;
REVOKE EXECUTE ON FUNCTION wsup.options_and_parents(bigint) FROM PUBLIC;
