-- No job up to this one is ready, and none is claimed.
SELECT NOT EXISTS (SELECT FROM wsup.ready WHERE job <= %s) AND NOT EXISTS (SELECT FROM wsup.claim)
