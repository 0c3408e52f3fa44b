SELECT wsup.enqueue(%s, %s::jsonb, priority => %s)
