SELECT id FROM wsup.supervisor WHERE id = %s AND host = %s AND pid = %s
