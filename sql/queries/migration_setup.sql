-- Looks first: IF NOT EXISTS would ask for the right to create a schema even where there is one.
DO $$
BEGIN
    IF to_regnamespace('wsup') IS NULL THEN
        CREATE SCHEMA wsup;
    END IF;
    IF to_regclass('wsup.migration') IS NULL THEN
        CREATE TABLE wsup.migration (
            version    integer     PRIMARY KEY,
            name       text        NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            checksum   text        NOT NULL       -- SHA-256 of the file
        );
    END IF;
END
$$
