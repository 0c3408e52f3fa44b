-- Schedules: which job is asked for again and again, and when next. When is computed by supervisors,
-- who know time zones; that each tick is asked for once is decided here, by whoever moves
-- `next_tick` first. A row changes with each of its ticks, and never in between.

CREATE TABLE wsup.schedule (
    app       text        NOT NULL,              -- "module:attribute" that has defined it
    name      text        NOT NULL,
    task      text        NOT NULL,
    queue     text        NOT NULL,
    priority  smallint    NOT NULL,
    args      json        NOT NULL,
    cron      text,
    timezone  text        NOT NULL,
    every     double precision,                  -- seconds
    catch_up  text        NOT NULL CHECK (catch_up IN ('none', 'last', 'all')),
    revision  integer     NOT NULL DEFAULT 1,    -- of the definition: who ticks must know this one
    paused    boolean     NOT NULL DEFAULT false,
    next_tick timestamptz,                       -- NULL: the next supervisor that looks computes it
    last_tick timestamptz,
    PRIMARY KEY (app, name),
    CHECK ((cron IS NULL) <> (every IS NULL))
) WITH (fillfactor = 50);

-- Makes the schedules of an app those that its code has: adds, changes, deletes. A schedule whose
-- times stay the same keeps its next tick, and a paused one stays paused. Returns what has changed.
CREATE FUNCTION wsup.define_schedules(
    app text, names text[], tasks text[], queues text[], priorities smallint[], args text[],
    crons text[], timezones text[], everys double precision[], catch_ups text[]
) RETURNS TABLE (name text, change text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    -- One at a time: two apps' rows, locked in different orders, could wait for each other.
    LOCK TABLE wsup.schedule IN SHARE ROW EXCLUSIVE MODE;
    RETURN QUERY
    WITH wanted AS (
        SELECT * FROM unnest(names, tasks, queues, priorities, args, crons, timezones, everys,
                             catch_ups)
               AS w(name, task, queue, priority, args, cron, timezone, every, catch_up)),
    gone AS (
        DELETE FROM wsup.schedule s
         WHERE s.app = define_schedules.app AND s.name <> ALL (names)
        RETURNING s.name),
    put AS (
        INSERT INTO wsup.schedule AS s
            (app, name, task, queue, priority, args, cron, timezone, every, catch_up)
        SELECT define_schedules.app, w.name, w.task, w.queue, w.priority, w.args::json, w.cron,
               w.timezone, w.every, w.catch_up
          FROM wanted w
        ON CONFLICT ON CONSTRAINT schedule_pkey DO UPDATE
           SET task = excluded.task, queue = excluded.queue, priority = excluded.priority,
               args = excluded.args, cron = excluded.cron, timezone = excluded.timezone,
               every = excluded.every, catch_up = excluded.catch_up, revision = s.revision + 1,
               next_tick = CASE WHEN (s.cron, s.timezone, s.every)
                                     IS NOT DISTINCT FROM
                                     (excluded.cron, excluded.timezone, excluded.every)
                                THEN s.next_tick END
         WHERE (s.task, s.queue, s.priority, s.args::text, s.cron, s.timezone, s.every, s.catch_up)
               IS DISTINCT FROM
               (excluded.task, excluded.queue, excluded.priority, excluded.args::text,
                excluded.cron, excluded.timezone, excluded.every, excluded.catch_up)
        RETURNING s.name, s.revision)
    SELECT g.name, 'removed' FROM gone g
    UNION ALL
    SELECT p.name, CASE p.revision WHEN 1 THEN 'added' ELSE 'changed' END FROM put p;
    IF FOUND THEN
        PERFORM pg_notify('wsup', 'schedules');
    END IF;
END
$$;

-- Moves schedules from the ticks that a supervisor has seen (`seen`, NULL: none computed yet) to
-- their next ones, and makes a job for each of `ticks`, in the same transaction. Who comes second,
-- or goes by an older definition, or has looked at a clock that is ahead of this one (`now`), moves
-- nothing. Returns the names that were moved. `schedules` tells for each tick which of the names it
-- is of, from 1. Names come sorted, so that two supervisors can't wait for each other.
-- SECURITY DEFINER: who runs jobs may enqueue none but those that schedules ask for.
CREATE FUNCTION wsup.tick(
    app text, now timestamptz, names text[], revisions integer[], seen timestamptz[],
    nexts timestamptz[], schedules integer[], ticks timestamptz[]
) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    s wsup.schedule;
BEGIN
    IF tick.now > clock_timestamp() THEN
        RETURN;
    END IF;
    FOR i IN 1 .. cardinality(names) LOOP
        UPDATE wsup.schedule u
           SET next_tick = nexts[i],
               last_tick = coalesce((SELECT max(t.at) FROM unnest(schedules, ticks) AS t(nr, at)
                                      WHERE t.nr = i), u.last_tick)
         WHERE u.app = tick.app AND u.name = names[i] AND u.revision = revisions[i]
           AND NOT u.paused AND u.next_tick IS NOT DISTINCT FROM seen[i]
        RETURNING u.* INTO s;
        CONTINUE WHEN NOT FOUND;
        INSERT INTO wsup.job (queue, priority, task, args, options)
        SELECT s.queue, s.priority, s.task, s.args,
               json_build_object('schedule', s.name, 'scheduled_for', t.at)
          FROM unnest(schedules, ticks) AS t(nr, at) WHERE t.nr = i ORDER BY t.at;
        RETURN NEXT s.name;
    END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION wsup.tick(text, timestamptz, text[], integer[], timestamptz[],
                                     timestamptz[], integer[], timestamptz[]) FROM PUBLIC;
