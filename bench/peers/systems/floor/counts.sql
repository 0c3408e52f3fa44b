SELECT (SELECT count(*) FROM reference.outcome), 0,
       (SELECT count(*) FROM reference.job) - (SELECT count(*) FROM reference.outcome)
