"""A key's jobs while somebody holds an old snapshot, by the statements alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]


@contextmanager
def pinned(database: str, *statements: str) -> Iterator[Connection]:
    """A transaction that keeps all dead rows from now on."""
    with psycopg.connect(database) as pin:
        pin.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        pin.execute("SELECT FROM wsup.job")
        for statement in statements:
            pin.execute(statement.encode())
        yield pin


def enqueue(connection: Connection, n: int, key: str = "a", priority: int = 0) -> list[int]:
    rows = connection.execute(
        "INSERT INTO wsup.job (task, key, priority) SELECT 'noop', %s, %s"
        "  FROM generate_series(1, %s) RETURNING id",
        [key, priority, n],
    )
    return [row[0] for row in rows]


def running(connection: Connection) -> list[int]:
    rows = connection.execute("SELECT job FROM wsup.key_holder ORDER BY job")
    return [row[0] for row in rows]
