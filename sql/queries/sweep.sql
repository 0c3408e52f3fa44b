SELECT wsup.sweep(%s::integer, %s::integer, %s::text)
