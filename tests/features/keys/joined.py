"""Jobs put into lines, and taken, by the statements alone."""

from collections.abc import Sequence
from typing import Any

import psycopg
from road import pull

from wsup.sql.answers import Row, subscribed

Connection = psycopg.Connection[Any]
ALL = subscribed(["default"])


def fill(connection: Connection, n: int, key: str = "a", limit: int | None = None) -> list[int]:
    rows = connection.execute(
        "INSERT INTO wsup.job (task, key, key_limit) SELECT 'noop', %s, %s"
        "  FROM generate_series(1, %s) RETURNING id",
        [key, limit, n],
    )
    return [row[0] for row in rows]


def taken(connection: Connection, n: int = 100, supervisor: int = 1) -> list[Row]:
    """What a turn pulls, once it has served the marked keys."""
    return pull(connection, n, ALL, supervisor)


def ids(rows: Sequence[Row]) -> list[int]:
    return [row[1] for row in rows]
