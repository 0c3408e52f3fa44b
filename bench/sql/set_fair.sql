SELECT wsup.set_queue(%s, %s)
