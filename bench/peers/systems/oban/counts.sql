SELECT count(*) FILTER (WHERE state = 'completed' AND attempt = 1),
       count(*) FILTER (WHERE state NOT IN ('completed', 'available', 'executing')
                           OR (state = 'completed' AND attempt > 1)),
       count(*) FILTER (WHERE state IN ('available', 'executing'))
  FROM oban_jobs
