"""What the database holds of enqueued jobs."""

from typing import Any

import psycopg
from psycopg.rows import dict_row

Connection = psycopg.Connection[Any]

#: More than go by INSERT, and more than one chunk of a COPY.
MANY = 2345


def stored(connection: Connection, job: int) -> dict[str, Any]:
    cursor = connection.cursor(row_factory=dict_row)
    row = cursor.execute(
        "SELECT task, queue, priority, run_at, args, options FROM wsup.job WHERE id = %s", [job]
    ).fetchone()
    assert row is not None
    return row


def count(connection: Connection, table: str = "job") -> int:
    query = psycopg.sql.SQL("SELECT count(*) FROM wsup.{}").format(psycopg.sql.Identifier(table))
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])
