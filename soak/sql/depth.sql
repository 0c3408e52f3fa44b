SELECT count(*) FROM (SELECT FROM wsup.ready LIMIT %s) r
