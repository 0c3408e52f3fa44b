-- The spine: a job is requested once (job), stands in one place at a time (ready, waiting or a
-- claim) and ends once (outcome). Only `ready` and `claim` are churned; everything else is
-- appended to.

CREATE SEQUENCE wsup.job_id AS bigint;

-- The request, as it was made. Read once by the pull that takes the job, never updated by it.
CREATE TABLE wsup.job (
    id          bigint      PRIMARY KEY DEFAULT nextval('wsup.job_id'),
    enqueued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    run_at      timestamptz,               -- NULL: as soon as possible
    priority    smallint    NOT NULL DEFAULT 0,   -- higher runs earlier
    queue       text        NOT NULL DEFAULT 'default',
    task        text        NOT NULL,
    args        json        NOT NULL DEFAULT '{}',
    options     json                       -- what differs from the task's own: retries, timeout
);
ALTER SEQUENCE wsup.job_id OWNED BY wsup.job.id;

-- The jobs that can run now, and nothing else. Four lanes: writers fill the current one, so that
-- a lane full of dead rows can be closed and truncated even while a long transaction keeps
-- vacuum from doing anything. Readers look into all four, so writing a closed lane is harmless.
CREATE TABLE wsup.ready (
    job      bigint   NOT NULL,
    rank     integer  NOT NULL,            -- -1 - priority, so that all of the key ascends
    attempt  smallint NOT NULL,            -- the number that this run will have, from 1
    lane     smallint NOT NULL,
    queue    text COLLATE "C" NOT NULL     -- no index of ours depends on the machine's locale
) PARTITION BY LIST (lane);

DO $lanes$
BEGIN
    FOR lane IN 0..3 LOOP
        EXECUTE format('CREATE TABLE wsup.ready_%1$s PARTITION OF wsup.ready FOR VALUES IN (%1$s)'
            ' WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,'
            ' autovacuum_vacuum_cost_delay = 0)', lane);
        EXECUTE format('CREATE UNIQUE INDEX ready_%1$s_order ON wsup.ready_%1$s'
            ' (queue, rank, job)', lane);
        EXECUTE format('ALTER TABLE wsup.ready_%1$s REPLICA IDENTITY USING INDEX ready_%1$s_order',
            lane);
    END LOOP;
END
$lanes$;

-- Counts the changes of lane. A sequence, because it is read by every enqueue: a row updated
-- under a long transaction would grow a chain of dead versions. Which lane is written to is a
-- matter of speed only, so it need not be transactional.
CREATE SEQUENCE wsup.lane_turn AS bigint MINVALUE 0 START 0;
SELECT nextval('wsup.lane_turn');

CREATE FUNCTION wsup.current_lane() RETURNS smallint LANGUAGE sql STABLE PARALLEL UNSAFE
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT (last_value % 4)::smallint FROM wsup.lane_turn $$;

-- The jobs that become ready at a time: scheduled, waiting for a retry, snoozed.
CREATE TABLE wsup.waiting (
    job      bigint      PRIMARY KEY,
    due_at   timestamptz NOT NULL,
    priority smallint    NOT NULL,
    attempt  smallint    NOT NULL,
    queue    text        NOT NULL
);
CREATE INDEX waiting_due ON wsup.waiting (due_at);

-- One row a pulled batch: exactly the jobs that were taken and are not settled yet. The job ids
-- of a batch are neighbours, so a multirange holds 500 of them in some 60 bytes. A result is
-- accepted only while its job is in its claim.
CREATE SEQUENCE wsup.claim_id AS bigint;
CREATE TABLE wsup.claim (
    id          bigint         NOT NULL DEFAULT nextval('wsup.claim_id'),
    supervisor  integer        NOT NULL,
    claimed_at  timestamptz    NOT NULL DEFAULT clock_timestamp(),
    jobs        int8multirange NOT NULL,
    retried     bigint[],                  -- the jobs not on their first attempt …
    attempts    smallint[],                -- … and the attempt of each
    PRIMARY KEY (supervisor, id)
);
ALTER SEQUENCE wsup.claim_id OWNED BY wsup.claim.id;

CREATE TYPE wsup.outcome_state AS ENUM ('succeeded', 'failed', 'cancelled', 'expired');

-- How a job ended, once.
CREATE TABLE wsup.outcome (
    job         bigint             PRIMARY KEY,
    finished_at timestamptz        NOT NULL DEFAULT statement_timestamp(),
    state       wsup.outcome_state NOT NULL,
    seconds     real,                      -- how long the last attempt ran
    supervisor  integer,
    subworker   smallint,
    attempt     smallint           NOT NULL,
    result      json,                      -- NULL stands for null
    reason      text                       -- why it was cancelled or has expired
);

-- Every attempt that went wrong, also those that were retried.
CREATE TABLE wsup.failure (
    job        bigint      NOT NULL,
    attempt    smallint    NOT NULL,
    failed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    supervisor integer,
    subworker  smallint,
    lost       boolean     NOT NULL DEFAULT false,  -- died with its host; not counted in retries
    type       text        NOT NULL,
    message    text        NOT NULL,
    traceback  text,
    PRIMARY KEY (job, attempt, failed_at)
);

CREATE TABLE wsup.supervisor (
    id         integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host       text        NOT NULL,
    pid        integer     NOT NULL,
    version    text        NOT NULL,
    queues     text[]      NOT NULL,
    subworkers smallint    NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    beat       bigint      NOT NULL DEFAULT 0,      -- a counter; observers time it by their own clock
    beaten_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease      real        NOT NULL,                -- seconds without a beat after which it is dead
    direct     boolean     NOT NULL DEFAULT true,   -- it holds a lock while it is connected
    jobs_done  bigint      NOT NULL DEFAULT 0,
    memory     bigint,                              -- bytes (PSS) of the host's processes of ours
    occupancy  real[],                              -- share of busy subworkers over 15 s, 5 min, 30 min
    agent      text,                                -- its name, if a server speaks for it
    via        text        NOT NULL DEFAULT 'sql',  -- how its last sign of life came: sql, http …
    via_since  timestamptz NOT NULL DEFAULT clock_timestamp(),  -- … and since when they do
    cpus       smallint                             -- processors that it may use
) WITH (fillfactor = 50);

-- Where a supervisor, or whoever speaks for it, listens.
CREATE FUNCTION wsup.channel(supervisor integer) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN EXISTS (SELECT FROM wsup.supervisor s
                              WHERE s.id = channel.supervisor AND s.agent IS NOT NULL)
                THEN 'wsup_served' ELSE 'wsup_' || channel.supervisor END
$$;

-- The supervisors that want to be woken. Unlogged: after a crash of the server everybody
-- reconnects and says it again, and going to sleep must not wait for a disk.
CREATE UNLOGGED TABLE wsup.sleeper (
    supervisor integer  PRIMARY KEY,
    queues     text[]   NOT NULL,
    look_every interval NOT NULL           -- it looks by itself so often; jobs due later wake nobody
) WITH (fillfactor = 50);
