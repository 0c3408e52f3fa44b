SELECT wsup.next_lane(%s::integer[])
