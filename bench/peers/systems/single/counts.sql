SELECT (SELECT count(*) FROM outcome), 0, (SELECT count(*) FROM job)
