SELECT claim, job, kill, requested_at FROM wsup.cancelling(%(supervisor)s::integer)
