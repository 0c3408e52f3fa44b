SELECT ready, next_due, writers FROM wsup.look(%s::text[])
