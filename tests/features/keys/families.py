"""Jobs of one key that are parents and children, and where they stand."""

from collections.abc import Callable
from typing import Any

import psycopg
from kin import NOTHING, look, remains
from road import pull

from wsup.sql.answers import Row, subscribed

Connection = psycopg.Connection[Any]
Enqueue = Callable[..., int]
ENQUEUE = "SELECT wsup.enqueue('noop', key => %s, after => %s, delay => %s, queue => 'default')"


def keyed(connection: Connection, *after: int, key: str = "a", delay: str | None = None) -> int:
    """Enqueue a job that has a key, and waits for these; returns its id."""
    row = connection.execute(ENQUEUE, [key, list(after) or None, delay]).fetchone()
    assert row is not None
    return int(row[0])


def taken(connection: Connection) -> dict[int, Row]:
    return {row[1]: row for row in pull(connection, 100, subscribed(["default"]))}


def told(connection: Connection, call: str, jobs: list[int]) -> dict[int, str]:
    rows = connection.execute(f"SELECT job, state FROM wsup.{call}", {"jobs": jobs})  # noqa: S608
    return dict(rows.fetchall())


def nothing_is_left(connection: Connection) -> bool:
    look(connection)
    return remains(connection) == NOTHING
