-- One job. A plain INSERT rather than wsup.enqueue(), whose jsonb refuses the character \u0000.
INSERT INTO wsup.job (run_at, priority, queue, task, args, options)
VALUES (coalesce(%s::timestamptz, clock_timestamp() + %s::float8 * interval '1 second'),
        %s::integer, %s, %s, %s::text::json, %s::text::json)
RETURNING id
