SELECT wsup.resume_queue(%s::text)
