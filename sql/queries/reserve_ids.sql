-- The ids that a COPY will use, and when its jobs are to run, as COPY reads it, in UTC.
-- Everything is named in full: the connection may be a caller's, with any search_path.
SELECT pg_catalog.array_agg(pg_catalog.nextval('wsup.job_id'::pg_catalog.regclass)),
       pg_catalog.to_char(
           pg_catalog.timezone('UTC'::pg_catalog.text,
                    coalesce(%s::timestamp with time zone,
                             pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+)
                             pg_catalog.make_interval(secs => %s::double precision))),
           'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'::pg_catalog.text)
  FROM pg_catalog.generate_series(1, %s::integer)
