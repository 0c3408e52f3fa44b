"""The processes that run tasks, and what passes between them and their supervisor."""
