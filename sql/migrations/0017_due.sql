-- What is due first. While somebody holds an old snapshot, no vacuum removes the rows of what was due
-- before, and whoever looks from the beginning wades through them all. Where that takes long, it is done
-- for a hundredth of the time only; in between one looks from where the last look has come to. Nothing
-- appears before that but what was due already when its transaction committed, or was put back by one
-- that has failed: this may have to wait for the next whole look.

-- `again`: when the next whole look is due; NULL if this was one, and quick. What the session remembers
-- is true of the table, so a pooler may lend the session to anybody.
CREATE FUNCTION wsup.first_due(OUT due timestamptz, OUT again timestamptz)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    began CONSTANT timestamptz := clock_timestamp();
    -- Seconds since the epoch: from when to look, and when to look at all again.
    known CONSTANT double precision[] := nullif(current_setting('wsup.due', true), '');
    since timestamptz := '-infinity';
    at    timestamptz;
    took  interval;
BEGIN
    IF began < to_timestamp(known[2]) THEN
        since := to_timestamp(known[1]);
        again := to_timestamp(known[2]);
    END IF;
    FOR attempt IN 1..2 LOOP
        at := clock_timestamp();
        SELECT w.due_at INTO due FROM wsup.waiting w WHERE w.due_at >= since ORDER BY w.due_at LIMIT 1;
        took := least(took, clock_timestamp() - at);
        -- Once more: this process may but have waited for a processor.
        EXIT WHEN again IS NOT NULL OR took < interval '5 ms';
    END LOOP;
    IF again IS NULL AND took >= interval '5 ms' THEN
        again := began + least(100 * took, interval '1 minute');
    END IF;
    IF again IS NOT NULL THEN
        PERFORM set_config('wsup.due', ARRAY[extract(epoch FROM least(due, began)),
                                             extract(epoch FROM again)]::text, false);
    ELSIF known IS NOT NULL THEN
        PERFORM set_config('wsup.due', '', false);
    END IF;
END
$$;

-- In how many seconds somebody should look at what is due; NULL: nothing is.
CREATE FUNCTION wsup.next_due() RETURNS double precision
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT least(extract(epoch FROM least(f.due, f.again) - clock_timestamp()), wsup.untied(),
                 wsup.next_token())
      FROM wsup.first_due() f
$$;
