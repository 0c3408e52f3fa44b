-- A schema full of look-alikes, each of which raises: of every function of PostgreSQL's that is
-- named in wsup.names, and of the operators that our statements use, for every type that they meet.
CREATE SCHEMA evil;
DO $$
DECLARE
    -- What the polymorphic types stand for, in turn.
    stand_ins CONSTANT text[] := '{text,bigint,integer,smallint,real,boolean}';
    types CONSTANT text[] := '{bool,int2,int4,int8,float4,float8,text,timestamptz,interval,oid,regclass,text[],int8[],int4[],int2[],float4[],int8range,int8multirange}';
    body CONSTANT text := $body$ BEGIN RAISE EXCEPTION 'hijacked: %%', %L; END $body$;
    found record;
    one text;
    args text[];
    made text;
BEGIN
    FOR found IN
        SELECT p.proname AS name, p.proretset AS many,
               ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS u(t, i)
                      ORDER BY i) AS args,
               format_type(p.prorettype, NULL) AS gives
          FROM pg_proc p
         WHERE p.pronamespace = 'pg_catalog'::regnamespace
           AND p.proname = ANY (current_setting('trap.names')::text[])
        UNION ALL
        SELECT o.oprname, false, ARRAY[format_type(o.oprleft, NULL), format_type(o.oprright, NULL)],
               format_type(o.oprresult, NULL)
          FROM pg_operator o
         WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprkind = 'b'
           AND o.oprname IN ('=', '<>', '<', '>', '<=', '>=', '+', '-', '*', '%', '||', '@>')
           AND (format_type(o.oprleft, NULL) = ANY (types::regtype[]::text[])
                OR format_type(o.oprleft, NULL) LIKE 'any%')
           AND (format_type(o.oprright, NULL) = ANY (types::regtype[]::text[])
                OR format_type(o.oprright, NULL) LIKE 'any%')
    LOOP
        FOREACH one IN ARRAY stand_ins LOOP
            args := ARRAY(SELECT pg_temp.concrete(a, one) FROM unnest(found.args) WITH ORDINALITY AS u(a, i)
                           ORDER BY i);
            made := 'evil.' || quote_ident(found.name);
            BEGIN
                IF found.name ~ '^[a-z_]' THEN
                    EXECUTE format('CREATE FUNCTION %s(%s) RETURNS %s %s LANGUAGE plpgsql AS %L', made,
                        array_to_string(args, ','), CASE WHEN found.many THEN 'SETOF' END,
                        pg_temp.concrete(found.gives, one), format(body, made));
                ELSE
                    made := format('evil.%I', 'op ' || found.name);
                    EXECUTE format('CREATE OR REPLACE FUNCTION %s(%s) RETURNS %s LANGUAGE plpgsql AS %L',
                        made, array_to_string(args, ','), pg_temp.concrete(found.gives, one),
                        format(body, made));
                    EXECUTE format('CREATE OPERATOR evil.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = %s)',
                        found.name, args[1], args[2], made);
                END IF;
            EXCEPTION WHEN duplicate_function OR duplicate_object OR invalid_function_definition
                        OR datatype_mismatch OR undefined_object OR syntax_error THEN
                NULL;  -- made before, or not for a function in PL/pgSQL
            END;
        END LOOP;
    END LOOP;
END
$$;
CREATE DOMAIN evil.text AS pg_catalog.text CHECK (VALUE IS NULL);
CREATE DOMAIN evil.json AS pg_catalog.json CHECK (VALUE IS NULL);
CREATE DOMAIN evil.regclass AS pg_catalog.regclass CHECK (VALUE IS NULL);
CREATE TABLE evil.pg_locks (mine integer);
CREATE TABLE evil.pg_database (mine integer);
CREATE TABLE evil.pg_stat_activity (mine integer);
CREATE TABLE evil.job (mine integer);
CREATE TABLE evil.new_jobs (mine integer);
CREATE TABLE evil.new_ready (mine integer);
CREATE TABLE evil.new_waiting (mine integer);
