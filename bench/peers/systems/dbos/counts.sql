SELECT count(*) FILTER (WHERE status = 'SUCCESS' AND recovery_attempts <= 1),
       count(*) FILTER (WHERE status NOT IN ('SUCCESS', 'ENQUEUED', 'PENDING')
                           OR (status = 'SUCCESS' AND recovery_attempts > 1)),
       count(*) FILTER (WHERE status IN ('ENQUEUED', 'PENDING'))
  FROM dbos.workflow_status
