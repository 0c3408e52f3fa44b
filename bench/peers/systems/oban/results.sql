SELECT meta ->> 'return' FROM oban_jobs
