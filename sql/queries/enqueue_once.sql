-- Jobs of one task, each with a unique key, or none (NULL). A row each, in their order, or one alone
-- that tells of a conflict. Everything is named in full: the connection may be a caller's.
SELECT item, job, made FROM wsup.enqueue_once(
    %s, %s, %s::integer,
    coalesce(%s::timestamp with time zone,
             pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+)
             pg_catalog.make_interval(secs => %s::double precision)),
    %s::pg_catalog.text::pg_catalog.json, %s::pg_catalog.text[], %s::pg_catalog.text[], %s,
    pg_catalog.make_interval(secs => %s::double precision))
