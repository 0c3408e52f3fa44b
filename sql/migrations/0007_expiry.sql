-- Until when a job may start, and until when it may go on: moments of this server's clock, among the
-- job's options. What starts a job looks at them, on its host; nothing here does.

-- `options` with these limits: at a moment, or so long from now on. Refuses what can't be meant for a
-- job that is to start at `run_at` (NULL: at once).
CREATE FUNCTION wsup.with_limits(
    options json, run_at timestamptz,
    expires interval, expires_at timestamptz, deadline interval, deadline_at timestamptz
) RETURNS json LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    at CONSTANT timestamptz := clock_timestamp();
    one record;
BEGIN
    FOR one IN SELECT * FROM (VALUES ('expires', expires, expires_at),
                                     ('deadline', deadline, deadline_at)) AS v(name, span, moment)
                WHERE span IS NOT NULL OR moment IS NOT NULL
    LOOP
        IF one.span IS NOT NULL AND one.moment IS NOT NULL THEN
            RAISE invalid_parameter_value USING MESSAGE = format(
                'wsup.enqueue: give %1$s or %1$s_at, not both', one.name);
        ELSIF one.span <= interval '0' THEN
            RAISE invalid_parameter_value USING MESSAGE = format(
                'wsup.enqueue: %s %s is not above 0', one.name, one.span);
        END IF;
        one.moment := coalesce(one.moment, at + one.span);
        IF NOT one.moment BETWEEN at - interval '100 years' AND at + interval '100 years' THEN
            RAISE invalid_parameter_value USING MESSAGE = format(
                'wsup.enqueue: %s %s is not within 100 years', one.name, one.moment);
        ELSIF one.moment <= run_at THEN
            RAISE invalid_parameter_value USING MESSAGE = format(
                'wsup.enqueue: %s %s is not after %s, when the job is to start',
                one.name, one.moment, run_at);
        END IF;
        options := coalesce(options::jsonb, '{}') || jsonb_build_object(
            CASE one.name WHEN 'expires' THEN 'expires_at' ELSE one.name END, one.moment);
    END LOOP;
    RETURN options;
END
$$;
