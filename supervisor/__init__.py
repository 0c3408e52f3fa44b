"""The one process per host that talks to PostgreSQL. It runs no user code."""
