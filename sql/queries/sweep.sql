SELECT wsup.sweep(%s::integer, %s::integer)
