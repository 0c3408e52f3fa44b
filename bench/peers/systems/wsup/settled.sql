-- Who stands in line does so behind a job that is ready or claimed.
SELECT NOT EXISTS (SELECT FROM wsup.ready) AND NOT EXISTS (SELECT FROM wsup.claim)
