VACUUM (ANALYZE) reference.job, reference.ready;
