SELECT EXISTS (SELECT FROM wsup.outcome WHERE job = %s)
