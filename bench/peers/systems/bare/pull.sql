WITH pulled AS (
    DELETE FROM job WHERE id = ANY (ARRAY(
        SELECT id FROM job ORDER BY id FOR UPDATE SKIP LOCKED LIMIT %s))
    RETURNING id, task, args),
claimed AS (UPDATE claim SET jobs = jobs + (SELECT count(*) FROM pulled)
             WHERE EXISTS (SELECT FROM pulled))
SELECT id, task, args FROM pulled
