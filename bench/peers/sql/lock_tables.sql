DO $$
DECLARE
    named text;
BEGIN
    FOR named IN
        SELECT c.oid::regclass FROM pg_class c
         WHERE c.relkind IN ('r', 'p') AND c.relnamespace NOT IN (
               'pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    LOOP
        EXECUTE 'LOCK TABLE ' || named || ' IN ACCESS SHARE MODE';
    END LOOP;
END
$$
