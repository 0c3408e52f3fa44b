-- What is still under way: ready, waiting, claims, jobs without an outcome, children, what they wait
-- for, loose ends, cancel requests, jobs in line for their key, jobs that have a turn.
SELECT (SELECT count(*) FROM wsup.ready), (SELECT count(*) FROM wsup.waiting),
       (SELECT count(*) FROM wsup.claim),
       (SELECT count(*) FROM wsup.job) - (SELECT count(*) FROM wsup.outcome),
       (SELECT count(*) FROM wsup.child), (SELECT count(*) FROM wsup.dependency),
       (SELECT count(*) FROM wsup.loose_end), (SELECT count(*) FROM wsup.cancel_request),
       (SELECT count(*) FROM wsup.blocked), (SELECT count(*) FROM wsup.key_holder)
