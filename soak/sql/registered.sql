SELECT (SELECT count(*) FROM wsup.supervisor), (SELECT count(*) FROM wsup.sleeper)
