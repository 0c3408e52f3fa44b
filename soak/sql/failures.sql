SELECT job, attempt, lost, type, message FROM wsup.failure
