SELECT count(*) FILTER (WHERE status = 'succeeded' AND attempts = 1),
       count(*) FILTER (WHERE status NOT IN ('succeeded', 'todo', 'doing')),
       count(*) FILTER (WHERE status IN ('todo', 'doing'))
  FROM procrastinate_jobs
