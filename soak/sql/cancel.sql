SELECT job, state FROM wsup.cancel(%s)
