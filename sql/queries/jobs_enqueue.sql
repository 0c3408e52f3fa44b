SELECT wsup.enqueue(
    task => %(task)s::text,
    args => %(args)s::jsonb,
    queue => %(queue)s::text,
    priority => %(priority)s::integer,
    run_at => %(run_at)s::timestamptz,
    delay => %(delay)s::double precision * interval '1 second',
    retries => %(retries)s::integer,
    timeout => %(timeout)s::real)
