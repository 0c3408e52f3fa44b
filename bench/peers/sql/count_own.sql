SELECT count(*) FROM own
