SELECT wsup.enqueue(%s, %s::jsonb, key => %s, key_limit => %s, after_lax => %s)
