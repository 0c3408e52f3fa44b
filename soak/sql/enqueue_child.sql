SELECT wsup.enqueue(%s, %s::jsonb, after => %s, on_parent_failure => %s)
