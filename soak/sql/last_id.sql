SELECT last_value FROM wsup.job_id
