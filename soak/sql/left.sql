-- What is still under way: ready, waiting, claims, and jobs without an outcome.
SELECT (SELECT count(*) FROM wsup.ready), (SELECT count(*) FROM wsup.waiting),
       (SELECT count(*) FROM wsup.claim),
       (SELECT count(*) FROM wsup.job) - (SELECT count(*) FROM wsup.outcome)
