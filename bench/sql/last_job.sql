SELECT coalesce(max(job), 0) FROM wsup.outcome
