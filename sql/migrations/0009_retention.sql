-- Removing finished jobs after a time. There is no index by the time at which a job ended, which each
-- job would pay for: numbers are nearly in the order of time, so the outcomes are walked by them.

-- One piece of the walk: of the `most` outcomes after number `after`, removes those of these states
-- that are older than `keep` seconds. Returns how many they were, how far the walk has come, and
-- whether it goes on. It ends where jobs were enqueued so lately that none can have ended so long ago;
-- so one that takes long, or starts late, is passed by, and met when the walk begins anew.
--
-- One at a time: of the supervisors, the one of the lowest number that has given a sign of life of its
-- own lately (for those that are served, the server does it); NULL is somebody by hand. As its owner: who runs supervisors may remove nothing otherwise.
CREATE FUNCTION wsup.prune(supervisor integer, after bigint, states wsup.outcome_state[],
                           keep double precision, most integer,
                           OUT pruned bigint, OUT reached bigint, OUT more boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
-- Nobody holds a row that is so old, but who retries it or purges it. They are not waited for.
SET lock_timeout = '100ms' SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    cutoff CONSTANT timestamptz := clock_timestamp() - keep * interval '1 second';
    needed CONSTANT bigint[] := wsup.needed();
    gone   bigint[];
    seen   bigint;
BEGIN
    pruned := 0;
    reached := after;
    more := false;
    IF EXISTS (SELECT FROM wsup.supervisor s WHERE s.id < prune.supervisor AND s.via = 'sql'
                  AND s.beaten_at > clock_timestamp() - interval '2 minutes')
       OR NOT pg_try_advisory_xact_lock(2004055408, -1) THEN
        RETURN;
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);  -- what a crash brings back is pruned again
    SELECT max(p.job), coalesce(max(p.job) FILTER (WHERE p.finished_at < cutoff), after),
           array_agg(p.job) FILTER (
               WHERE p.finished_at < cutoff AND p.state = ANY (states)
                 AND p.job <> ALL (needed))
      INTO seen, reached, gone
      FROM (SELECT o.job, o.state, o.finished_at FROM wsup.outcome o
             WHERE o.job > after ORDER BY o.job LIMIT most) p;
    IF seen IS NULL THEN
        RETURN;
    END IF;
    more := NOT EXISTS (SELECT FROM wsup.job j WHERE j.id = seen AND j.enqueued_at >= cutoff);
    IF more THEN
        reached := seen;
    END IF;
    IF gone IS NOT NULL THEN
        WITH over AS (
            DELETE FROM wsup.outcome o USING unnest(gone) AS u(id)
             WHERE o.job = u.id AND o.job BETWEEN gone[1] AND gone[cardinality(gone)]
               AND o.finished_at < cutoff  -- one that was retried just now, and has ended again, has not
            RETURNING o.job)
        SELECT array_agg(o.job), count(*) INTO gone, pruned FROM over o;
        PERFORM wsup.forget(gone);
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION wsup.prune(integer, bigint, wsup.outcome_state[], double precision, integer)
    FROM PUBLIC;
