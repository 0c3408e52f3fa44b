CREATE TABLE job (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, task text, args json);
-- What was pulled and has no outcome yet; one row for a batch.
CREATE TABLE claim (jobs bigint);
INSERT INTO claim VALUES (0);
CREATE TABLE outcome (job bigint, result json);
