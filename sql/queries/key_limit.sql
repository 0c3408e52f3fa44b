SELECT wsup.set_key_limit(%s::text, %s::integer)
