-- The client's role is not the workers', so that their statements can be told apart.
CREATE ROLE client SUPERUSER LOGIN;
