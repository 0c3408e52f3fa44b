-- The ids that a COPY will use, and when its jobs are to run, as COPY reads it, in UTC.
SELECT array_agg(nextval('wsup.job_id')),
       to_char(coalesce(%s::timestamptz, clock_timestamp() + %s::float8 * interval '1 second')
                   AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
  FROM generate_series(1, %s)
