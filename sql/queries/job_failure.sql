-- The last attempt of a job that went wrong.
SELECT type, message, traceback, attempt
  FROM wsup.failure WHERE job = %s ORDER BY attempt DESC, failed_at DESC LIMIT 1
