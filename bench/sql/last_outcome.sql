-- The newest job that has ended.
SELECT max(job) FROM wsup.outcome
