SELECT (SELECT count(*) FROM wsup.outcome WHERE state = 'succeeded'),
       (SELECT count(*) FROM wsup.failure),
       (SELECT count(*) FROM wsup.job) - (SELECT count(*) FROM wsup.outcome)
