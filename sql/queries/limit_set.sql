SELECT wsup.set_limit(%s::text, %s::text, %s::integer, %s::integer, %s::text, %s::integer, %s::boolean)
