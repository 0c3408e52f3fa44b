CREATE TABLE job (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task text NOT NULL, args json NOT NULL, running boolean NOT NULL DEFAULT false)
    WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
CREATE INDEX job_next ON job (id) WHERE NOT running;
CREATE TABLE outcome (job bigint, result json);
