-- Supervisors without a connection of their own: a server speaks for them, over HTTP.

-- One pull for several supervisors, of which each gets a claim of its own, of neighbours. `shares` are
-- how many jobs each could take; of fewer than that, each gets its part. `supervisor` is who asks for
-- them all: for a moment, the jobs are its own.
CREATE FUNCTION wsup.pull_for(supervisor integer, queues text[], n integer, wake boolean,
                              supervisors integer[], shares integer[])
RETURNS TABLE (claim bigint, job bigint, attempt smallint, task text, queue text, args json,
               options json, holder integer)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    total  CONSTANT bigint   := (SELECT sum(s) FROM unnest(pull_for.shares) AS s);
    -- Where the part of each begins, of all that could be taken.
    starts CONSTANT bigint[] := ARRAY(SELECT sum(s) OVER (ORDER BY i) - s
                                        FROM unnest(pull_for.shares) WITH ORDINALITY AS u(s, i)
                                       ORDER BY i);
    ids    CONSTANT bigint[] := ARRAY(SELECT nextval('wsup.claim_id') FROM unnest(pull_for.shares));
    keyed  boolean;
BEGIN
    RETURN QUERY
    WITH shared AS MATERIALIZED (
        SELECT p.*, width_bucket((row_number() OVER () - 1) * total / count(*) OVER (), starts) AS share
          FROM wsup.pull(pull_for.supervisor, pull_for.queues, pull_for.n, pull_for.wake) p),
    claimed AS (
        INSERT INTO wsup.claim (id, supervisor, jobs, retried, attempts)
        SELECT ids[s.share], supervisors[s.share],
               CASE WHEN max(s.job) - min(s.job) = count(*) - 1
                    THEN int8multirange(int8range(min(s.job), max(s.job) + 1))
                    ELSE (SELECT range_agg(int8range(g.job, g.job + 1)) FROM shared g
                           WHERE g.share = s.share)
               END,
               array_agg(s.job) FILTER (WHERE s.attempt > 1),
               array_agg(s.attempt) FILTER (WHERE s.attempt > 1)
          FROM shared s GROUP BY s.share)
    SELECT ids[s.share], s.job, s.attempt, s.task, s.queue, s.args, s.options, supervisors[s.share]
      FROM shared s;  -- in the order in which they were pulled
    IF FOUND THEN
        WITH gone AS (
            DELETE FROM wsup.claim c WHERE c.supervisor = pull_for.supervisor RETURNING c.keyed)
        SELECT bool_or(g.keyed) INTO keyed FROM gone g;
        IF keyed THEN
            UPDATE wsup.claim c SET keyed = true
              FROM unnest(pull_for.supervisors, ids) AS u(supervisor, id)
             WHERE c.supervisor = u.supervisor AND c.id = u.id;
        END IF;
    END IF;
END
$$;

-- Signs of life of several supervisors at once; 0 and NULL: as before. Returns those that nobody has
-- buried, and of these the ones that hold jobs.
CREATE FUNCTION wsup.beat_for(supervisors integer[], jobs_done bigint[], memory bigint[],
                              occupancy_15s real[], occupancy_5m real[], occupancy_30m real[],
                              OUT alive integer[], OUT holding integer[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    WITH beaten AS (
        UPDATE wsup.supervisor s
           SET beat = s.beat + 1, beaten_at = clock_timestamp(), via = 'http',
               via_since = CASE WHEN s.via = 'http' THEN s.via_since ELSE clock_timestamp() END,
               jobs_done = coalesce(nullif(u.jobs_done, 0), s.jobs_done),
               memory = coalesce(nullif(u.memory, 0), s.memory),
               occupancy = CASE WHEN u.o1 IS NULL THEN s.occupancy ELSE ARRAY[u.o1, u.o2, u.o3] END
          FROM unnest(beat_for.supervisors, beat_for.jobs_done, beat_for.memory,
                      beat_for.occupancy_15s, beat_for.occupancy_5m, beat_for.occupancy_30m)
               AS u(id, jobs_done, memory, o1, o2, o3)
         WHERE s.id = u.id
        RETURNING s.id)
    SELECT array_agg(b.id),
           array_agg(b.id) FILTER (WHERE EXISTS (SELECT FROM wsup.claim c WHERE c.supervisor = b.id))
      INTO alive, holding FROM beaten b;
END
$$;

-- The tokens by which agents show themselves: what was issued, not the tokens themselves. A token that
-- is renewed keeps its number.
CREATE TABLE wsup.token (
    id         text        PRIMARY KEY,
    agent      text        NOT NULL,
    queues     text[],                     -- NULL: all
    verbs      text[]      NOT NULL,
    key        text        NOT NULL,       -- the name of the key that it was signed with
    issued_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX token_revoked ON wsup.token (id) WHERE revoked_at IS NOT NULL;

-- Revokes tokens by their numbers or by the name of their agent; servers are told. Returns their numbers.
CREATE FUNCTION wsup.revoke_tokens(named text) RETURNS SETOF text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('wsup_served', 'tokens');
    RETURN QUERY
    UPDATE wsup.token t SET revoked_at = clock_timestamp()
     WHERE (t.id = named OR t.agent = named) AND t.revoked_at IS NULL
    RETURNING t.id;
END
$$;
