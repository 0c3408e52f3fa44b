-- Roles for wsup with the least privileges, in the database that this is run in:
--
--   wsup_enqueue   asks for jobs; sees no job, not even its own, but for its number
--   wsup_run       runs supervisors: `wsup start`; can't alter a table, a request or an outcome
--   wsup_status    sees where jobs stand, and when, how long, which task: no arguments, no results
--   wsup_read      sees everything
--   wsup_cancel    cancels jobs by their numbers: job.cancel(), wsup.cancel()
--   wsup_finish    lets tasks end their own jobs: current_job().transaction()
--
-- Run it as the owner of the schema wsup, who may create roles: `wsup roles | psql …`. And again
-- after each `wsup migrate`; that changes nothing but what is new. Then, for a program of yours:
--
--   CREATE ROLE shop LOGIN PASSWORD '…' IN ROLE wsup_enqueue;
--   CREATE ROLE worker LOGIN PASSWORD '…' IN ROLE wsup_run, wsup_enqueue;  -- tasks enqueue, too
--
-- Operators, who retry jobs and migrate, are the schema's owner.
BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL client_min_messages = warning;

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY
        '{wsup_enqueue,wsup_run,wsup_status,wsup_read,wsup_cancel,wsup_finish}'::text[] LOOP
        IF to_regrole(wanted) IS NULL THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
END
$$;

-- PostgreSQL lets everybody call functions. Those that run as their caller do nothing for who has no
-- rights to their tables; these are rights enough for what each role is to do.
GRANT USAGE ON SCHEMA wsup
   TO wsup_enqueue, wsup_run, wsup_status, wsup_read, wsup_cancel, wsup_finish;
-- Every command looks first whether the database is migrated.
GRANT SELECT ON wsup.migration TO wsup_enqueue, wsup_run, wsup_status, wsup_read, wsup_cancel;

-- enqueue: by task.enqueue, enqueue_many and wsup.enqueue(). Its jobs' numbers come back from the
-- INSERT (SELECT), and enqueue_many takes many of them before its COPY (INSERT, USAGE). When a job
-- was enqueued can't be told otherwise than it was.
GRANT SELECT (id),
      INSERT (id, run_at, priority, queue, task, args, options, after, after_lax, key, key_limit)
   ON wsup.job
   TO wsup_enqueue;
GRANT USAGE ON SEQUENCE wsup.job_id TO wsup_enqueue;
-- Jobs with a unique key are compared with others, and may take their place.
GRANT EXECUTE ON FUNCTION wsup.enqueue_once TO wsup_enqueue;

-- run: takes jobs, and says what became of them. A request is never changed, an outcome neither.
GRANT SELECT ON wsup.job, wsup.lane_turn TO wsup_run;
GRANT USAGE ON SEQUENCE wsup.claim_id, wsup.lane_turn, wsup.key_mark TO wsup_run;
GRANT SELECT, INSERT, UPDATE, DELETE
   ON wsup.ready, wsup.waiting, wsup.blocked, wsup.key_holder, wsup.claim, wsup.supervisor,
      wsup.sleeper, wsup.cancel_request
   TO wsup_run;
GRANT SELECT ON wsup.key_limit TO wsup_run;
-- What its app says of the order of queues, it writes down; who takes turns gets a new number for each.
GRANT SELECT, INSERT, UPDATE ON wsup.queue_order TO wsup_run;
GRANT USAGE ON SEQUENCE wsup.job_id TO wsup_run;
-- What its app says of limits, it writes down, and lets jobs in by them.
GRANT SELECT, INSERT, UPDATE, DELETE ON wsup.limits TO wsup_run;
GRANT SELECT, INSERT, DELETE ON wsup.gate_state TO wsup_run;
GRANT USAGE ON SEQUENCE wsup.gate_version TO wsup_run;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE       -- TRUNCATE frees a closed lane of dead rows
   ON wsup.ready_0, wsup.ready_1, wsup.ready_2, wsup.ready_3,
      wsup.blocked_0, wsup.blocked_1, wsup.blocked_2, wsup.blocked_3,
      wsup.key_holder_0, wsup.key_holder_1, wsup.key_holder_2, wsup.key_holder_3 TO wsup_run;
GRANT SELECT (job, lost), INSERT ON wsup.failure TO wsup_run;
-- What its app's schedules say, it writes down, and has enqueued tick by tick.
GRANT SELECT, INSERT, UPDATE, DELETE ON wsup.schedule TO wsup_run;
GRANT EXECUTE ON FUNCTION wsup.tick TO wsup_run;
GRANT SELECT ON wsup.paused_queue TO wsup_run;
-- A server for hosts without a database renews their tokens, and looks which are revoked.
GRANT SELECT, UPDATE (expires_at, key) ON wsup.token TO wsup_run;
-- It can't remove a job, but have those removed that have ended.
GRANT EXECUTE ON FUNCTION wsup.prune TO wsup_run;
GRANT SELECT (job, state, supervisor, attempt), INSERT ON wsup.outcome TO wsup_run;
-- Jobs that wait for others: it tells them of each end, and hands them what their parents gave.
GRANT SELECT, INSERT, UPDATE, DELETE ON wsup.child, wsup.dependency, wsup.loose_end TO wsup_run;
GRANT USAGE ON SEQUENCE wsup.loose_end_id TO wsup_run;
GRANT SELECT ON SEQUENCE wsup.loose_end_id, wsup.dependency_used, wsup.key_limit_used, wsup.key_not_serial
   TO wsup_run;
GRANT SELECT, UPDATE ON SEQUENCE wsup.loose_end_low TO wsup_run;
GRANT EXECUTE ON FUNCTION wsup.options_and_parents TO wsup_run;
-- What jobs say of themselves. An attempt is given the last one's checkpoint.
GRANT SELECT, INSERT, UPDATE ON wsup.progress, wsup.checkpoint TO wsup_run;
GRANT SELECT (job, claim, piece), INSERT ON wsup.log TO wsup_run;
DO $$
BEGIN
    -- Before 17, only the owner may vacuum. Without it dead rows are left to autovacuum.
    IF current_setting('server_version_num')::integer >= 170000 THEN
        GRANT MAINTAIN
           ON wsup.ready_0, wsup.ready_1, wsup.ready_2, wsup.ready_3,
              wsup.blocked_0, wsup.blocked_1, wsup.blocked_2, wsup.blocked_3,
              wsup.key_holder_0, wsup.key_holder_1, wsup.key_holder_2, wsup.key_holder_3 TO wsup_run;
    END IF;
END
$$;

-- status: job.status(), `wsup jobs list`, `failed`, `wsup queues list`, `wsup keys list`,
-- `wsup limits list`, `wsup schedules list`, dashboards.
GRANT SELECT ON wsup.ready, wsup.waiting, wsup.child, wsup.blocked, wsup.key_holder, wsup.key_limit,
                wsup.limits, wsup.claim, wsup.supervisor, wsup.paused_queue, wsup.queue_order TO wsup_status;
GRANT SELECT (id, enqueued_at, run_at, priority, queue, task, key, key_limit) ON wsup.job TO wsup_status;
GRANT SELECT (job, finished_at, state, seconds, supervisor, subworker, attempt) ON wsup.outcome
   TO wsup_status;
GRANT SELECT (job, attempt, failed_at, supervisor, subworker, lost, type) ON wsup.failure
   TO wsup_status;
GRANT SELECT (job, attempt, at, fraction) ON wsup.progress TO wsup_status;

GRANT SELECT (app, name, task, queue, cron, timezone, every, catch_up, paused, next_tick,
              last_tick) ON wsup.schedule TO wsup_status;
-- cancel: the function writes as its owner. It tells of each job whether it was cancelled, or where
-- it stands; to see which jobs there are (`wsup jobs cancel --queue`) takes wsup_status, too.
GRANT EXECUTE ON FUNCTION wsup.cancel(bigint[], boolean, text) TO wsup_cancel;

-- finish: for the role with which tasks connect. The function writes as its owner, and ends jobs that
-- run, as succeeded; which job is whose, it can't know. Who runs supervisors may do that anyway.
GRANT EXECUTE ON FUNCTION wsup.finish(bigint, bigint, integer, real, text) TO wsup_finish, wsup_run;

-- read: job.result(), job.progress(), job.logs(), `wsup jobs show`, `wsup jobs logs`.
GRANT SELECT ON ALL TABLES IN SCHEMA wsup TO wsup_read;
COMMIT;
