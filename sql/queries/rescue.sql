SELECT wsup.rescue(%s::integer, %s::integer)
