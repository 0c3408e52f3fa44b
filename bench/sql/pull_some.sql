SELECT claim, job, attempt FROM wsup.pull(%s, %s, %s)
