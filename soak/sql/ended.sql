SELECT count(*) FROM wsup.outcome
