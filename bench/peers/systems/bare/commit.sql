WITH settled AS (
    INSERT INTO outcome SELECT * FROM unnest(%s::bigint[], %s::json[]) RETURNING job)
UPDATE claim SET jobs = jobs - (SELECT count(*) FROM settled)
