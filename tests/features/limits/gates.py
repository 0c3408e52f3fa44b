"""Limits as they are set, jobs that come to their gates, and who was let in."""

from collections.abc import Sequence
from typing import Any

import psycopg
from road import pull

from wsup.sql.answers import Row, subscribed

Connection = psycopg.Connection[Any]


def limit(connection: Connection, kind: str, name: str, **limits: object) -> None:
    given = "".join(f", {name} => %({name})s" for name in limits)
    connection.execute(
        f"SELECT wsup.set_limit(%(kind)s, %(name)s{given})",
        {"kind": kind, "name": name, **limits},
    )


def fill(
    connection: Connection, n: int, task: str = "send", queue: str = "default", **columns: object
) -> list[int]:
    given = {"task": task, "queue": queue, **columns}
    rows = connection.execute(
        f"INSERT INTO wsup.job ({', '.join(given)})"  # noqa: S608
        f"  SELECT {', '.join(['%s'] * len(given))} FROM generate_series(1, {n}) RETURNING id",
        list(given.values()),
    )
    return [row[0] for row in rows]


def taken(connection: Connection, n: int = 100, supervisor: int = 1) -> list[Row]:
    return pull(connection, n, subscribed(["default", "other"]), supervisor)


def ids(rows: Sequence[Row]) -> list[int]:
    return [row[1] for row in rows]


def holders(connection: Connection) -> int:
    return connection.execute("SELECT FROM wsup.key_holder").rowcount
