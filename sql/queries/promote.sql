SELECT promoted, next_due FROM wsup.promote(%s::integer)
