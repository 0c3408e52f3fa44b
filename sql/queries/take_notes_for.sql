SELECT locked FROM wsup.take_notes(%s::integer, %s, %s, %s, %s, %s, %s, %s, %s, %s)
