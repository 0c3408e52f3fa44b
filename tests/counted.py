"""What the server is asked, by its own statistics."""

from typing import Any

import psycopg
import pytest

Connection = psycopg.Connection[Any]


def count_statements(connection: Connection) -> None:
    """Have the server count what it is asked, or skip the test."""
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("this PostgreSQL was built without pg_stat_statements")


def calls(connection: Connection, like: str = "%wsup.%") -> int:
    """How many statements like this one it has been asked in this database."""
    row = connection.execute(
        "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements"
        " WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
        "   AND query NOT LIKE '%%pg_stat_statements%%' AND query LIKE %s",
        [like],
    ).fetchone()
    return int(row[0]) if row else 0
