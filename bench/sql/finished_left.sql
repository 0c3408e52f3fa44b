-- The old jobs that are still there: numbers up to $1.
SELECT count(*) FROM wsup.outcome WHERE job <= %s
