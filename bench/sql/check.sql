-- Every job has ended well, once, and nothing is left over.
SELECT (SELECT count(*) FROM wsup.outcome),
       (SELECT count(*) FROM wsup.outcome WHERE state = 'succeeded' AND attempt = 1),
       (SELECT count(*) FROM wsup.claim),
       (SELECT count(*) FROM wsup.ready)
