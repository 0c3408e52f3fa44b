"""Parents and children, by the statements alone."""

from collections.abc import Sequence
from typing import Any

import psycopg
from road import pull, settle, succeeded

from wsup.sql.answers import Row
from wsup.sql.settlement import Entry

Connection = psycopg.Connection[Any]

ENQUEUE = "SELECT wsup.enqueue('noop', after => %s, after_lax => %s, delay => %s)"


def child(
    connection: Connection, *after: int, lax: Sequence[int] = (), delay: str | None = None
) -> int:
    """Enqueue a job that waits for these; returns its id."""
    row = connection.execute(ENQUEUE, [list(after) or None, list(lax) or None, delay]).fetchone()
    assert row is not None
    return int(row[0])


def claimed(connection: Connection, *jobs: int) -> list[Row]:
    """Pull these, as supervisor 1; nothing else may be ready."""
    rows = sorted(pull(connection, 20_000), key=lambda row: row[1])
    assert [row[1] for row in rows] == sorted(jobs)
    return rows


def succeed(database: str, connection: Connection, *jobs: int) -> None:
    """Have these run and succeed; nothing else may be ready."""
    entries: list[Entry] = [succeeded(row) for row in claimed(connection, *jobs)]
    assert settle(database, *entries) == 0


def status(connection: Connection, *jobs: int) -> list[str]:
    query = "SELECT wsup.status(u.id) FROM unnest(%s::bigint[]) WITH ORDINALITY u(id, n) ORDER BY n"
    return [row[0] for row in connection.execute(query, [list(jobs)])]


def reason(connection: Connection, job: int) -> str:
    row = connection.execute("SELECT reason FROM wsup.outcome WHERE job = %s", [job]).fetchone()
    assert row is not None
    return str(row[0])


def look(connection: Connection) -> float | None:
    """What a supervisor's turn looks at by the clock; returns in how many seconds again."""
    row = connection.execute("SELECT next_due FROM wsup.promote(1000)").fetchone()
    assert row is not None
    return None if row[0] is None else float(row[0])


def remains(connection: Connection) -> tuple[int, int, int]:
    """How many children, dependencies and loose ends are left."""
    row = connection.execute(
        "SELECT (SELECT count(*) FROM wsup.child), (SELECT count(*) FROM wsup.dependency),"
        " (SELECT count(*) FROM wsup.loose_end)"
    ).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


NOTHING = (0, 0, 0)
