SELECT attempt, failed_at, lost, supervisor, subworker, type, message, traceback
  FROM wsup.failure WHERE job = %(job)s ORDER BY failed_at, attempt
