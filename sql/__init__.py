"""PostgreSQL's side of wsup: the schema, the statements, and their thin typed callers."""
