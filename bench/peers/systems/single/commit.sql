WITH ended AS (DELETE FROM job WHERE id = %s RETURNING id)
INSERT INTO outcome SELECT id, %s::json FROM ended
