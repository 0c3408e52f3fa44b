-- A job that is finished in a transaction of its own task's: what the task has written there and the
-- job's outcome are committed together, or not at all.

-- Ends a job as succeeded, if its supervisor still holds it under this claim; else raises WS001, and
-- with that the whole transaction is undone. To be called last, with the COMMIT right behind it: until
-- then the claim is locked, and the claim's other jobs can't be settled.
--
-- As its owner, so that the role of a task's own connection needs no right to claims and outcomes.
-- Who may call this can end any job that runs, as its task can; so it is nobody's by default.
CREATE FUNCTION wsup.finish(claim bigint, job bigint, subworker integer, seconds real, result text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_variable
DECLARE
    holder  integer;
    attempt smallint;
    refused bigint;
BEGIN
    -- By way of the supervisors, so that the claim is found by its primary key. This waits for a turn
    -- or a rescue that has it, which takes milliseconds; that of a dead supervisor counts no longer.
    SELECT c.supervisor,
           coalesce((SELECT u.attempt FROM unnest(c.retried, c.attempts) AS u(job, attempt)
                      WHERE u.job = finish.job), 1::smallint)
      INTO holder, attempt
      FROM wsup.supervisor s JOIN wsup.claim c ON c.supervisor = s.id AND c.id = finish.claim
     WHERE c.jobs @> finish.job
       FOR UPDATE OF c;
    IF holder IS NOT NULL THEN
        SELECT s.refused INTO refused FROM wsup.settle(
            holder,
            ARRAY[claim], ARRAY[job], ARRAY[attempt], ARRAY[1::smallint],
            ARRAY[seconds], ARRAY[subworker::smallint], ARRAY[result], ARRAY[NULL::text],
            '{}', '{}', '{}', '{}',
            '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}') s;
    END IF;
    IF refused IS DISTINCT FROM 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'WS001', MESSAGE = format(
            'job %s is no longer held under claim %s: it was settled, or given to others', job, claim);
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION wsup.finish(bigint, bigint, integer, real, text) FROM PUBLIC;
