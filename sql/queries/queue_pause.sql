SELECT wsup.pause_queue(%s::text)
