INSERT INTO job (task, args) VALUES (%s, %s)
