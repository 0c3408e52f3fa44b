-- The narrow tables of the floor: a request, one hot row while it can run, a claim per batch, an
-- outcome per job. Names and columns are frozen: see README.md.
DROP SCHEMA IF EXISTS reference CASCADE;
CREATE SCHEMA reference;

CREATE TABLE reference.job (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task        text NOT NULL,
    queue       text COLLATE "C" NOT NULL,
    priority    smallint NOT NULL,
    args        json NOT NULL,
    enqueued_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE reference.ready (
    queue    text COLLATE "C" NOT NULL,
    priority smallint NOT NULL,
    job      bigint NOT NULL,
    attempt  smallint NOT NULL
);
CREATE INDEX ready_next ON reference.ready (queue, priority DESC, job);

-- A claim of 500 jobs takes about 5,100 bytes; the target keeps such a row out of TOAST.
CREATE TABLE reference.claim (
    id         bigserial PRIMARY KEY,
    supervisor int NOT NULL,
    jobs       bigint[] NOT NULL,
    attempts   smallint[] NOT NULL
) WITH (toast_tuple_target = 8160);

CREATE TABLE reference.outcome (
    job         bigint PRIMARY KEY,
    state       smallint NOT NULL,
    attempt     smallint NOT NULL,
    finished_at timestamptz NOT NULL,
    result      json NOT NULL
);
