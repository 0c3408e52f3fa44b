-- How far the demo has come.
SELECT count(*), count(*) FILTER (WHERE state = 'failed') FROM wsup.outcome
