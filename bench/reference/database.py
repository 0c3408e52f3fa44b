"""The reference schema: its statements, its connection, its jobs."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from . import arrays

if TYPE_CHECKING:
    from psycopg.rows import TupleRow

TASK = "bench.noop"

#: One queue: the cheapest pull there is, and so the strictest floor.
QUEUE = "default"


@cache
def statement(name: str) -> bytes:
    """The text of `<name>.sql`."""
    return Path(__file__).with_name(f"{name}.sql").read_bytes()


def connect(dsn: str, *, autocommit: bool) -> psycopg.Connection[TupleRow]:
    """Connect as every part of the reference does: $1 parameters, prepared at once, durable."""
    connection = psycopg.connect(
        dsn,
        autocommit=autocommit,
        prepare_threshold=0,
        cursor_factory=psycopg.RawCursor,
        options="-c synchronous_commit=on",
    )
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    arrays.register(connection)
    return connection


def create(dsn: str, jobs: int) -> None:
    """Drop and create the schema `reference`, put `jobs` jobs into it, and let the disk settle."""
    with connect(dsn, autocommit=True) as connection:
        connection.execute(statement("schema"), prepare=False)
        connection.execute(statement("pull_function"), prepare=False)
        connection.execute(statement("fill"), (jobs, TASK, QUEUE))
        connection.execute(statement("vacuum"), prepare=False)
        connection.execute(statement("checkpoint"), prepare=False)
