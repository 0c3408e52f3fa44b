SELECT wsup.rerun(%s::bigint, %s::text::json)
