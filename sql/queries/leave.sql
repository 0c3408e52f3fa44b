WITH awake AS (DELETE FROM wsup.sleeper WHERE supervisor = %(supervisor)s)
DELETE FROM wsup.supervisor WHERE id = %(supervisor)s
