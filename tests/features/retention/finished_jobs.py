"""Jobs that have ended, long ago or lately."""

from typing import Any

import psycopg

Connection = psycopg.Connection[Any]

DAY = 86_400.0


def finished_jobs(
    connection: Connection,
    n: int,
    state: str = "succeeded",
    days: float = 8,
    enqueued: float | None = None,
) -> list[int]:
    """`n` jobs that ended so many days ago, each with a failed attempt; returns their ids."""
    connection.execute("ALTER TABLE wsup.job DISABLE TRIGGER admit")
    rows = connection.execute(
        "INSERT INTO wsup.job (task, enqueued_at)"
        " SELECT 'noop', clock_timestamp() - %s * interval '1 day' FROM generate_series(1, %s)"
        " RETURNING id",
        [days if enqueued is None else enqueued, n],
    ).fetchall()
    connection.execute("ALTER TABLE wsup.job ENABLE TRIGGER admit")
    jobs = [row[0] for row in rows]
    connection.execute(
        "WITH over AS (INSERT INTO wsup.outcome (job, state, attempt, finished_at)"
        "   SELECT u.id, %s, 1, clock_timestamp() - %s * interval '1 day'"
        "     FROM unnest(%s::bigint[]) AS u(id) RETURNING job)"
        " INSERT INTO wsup.failure (job, attempt, type, message) SELECT job, 1, 'E', '' FROM over",
        [state, days, jobs],
    )
    return jobs


def left(connection: Connection) -> list[int]:
    """The jobs that are still there."""
    return [row[0] for row in connection.execute("SELECT id FROM wsup.job ORDER BY id")]
