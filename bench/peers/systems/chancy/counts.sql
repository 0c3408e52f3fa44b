SELECT count(*) FILTER (WHERE state = 'succeeded' AND attempts = 1),
       count(*) FILTER (WHERE state NOT IN ('succeeded', 'pending', 'running')
                           OR (state = 'succeeded' AND attempts <> 1)),
       count(*) FILTER (WHERE state IN ('pending', 'running'))
  FROM chancy_jobs
