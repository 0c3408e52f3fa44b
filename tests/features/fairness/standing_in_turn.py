"""Jobs of tenants, put where a test wants them, and read back in the order in which they go."""

from collections.abc import Sequence
from typing import Any

import psycopg
from road import pull

from wsup.sql.answers import Row, subscribed

Connection = psycopg.Connection[Any]


def fill(
    connection: Connection, n: int, key: str | None, limit: int | None = None, **columns: object
) -> list[int]:
    """So many jobs of a key in queue "mail"; returns their ids."""
    values = {"queue": "mail", "priority": 0, "run_at": None, **columns}
    rows = connection.execute(
        "INSERT INTO wsup.job (task, queue, key, key_limit, priority, run_at)"
        " SELECT 'noop', %s, %s, %s, %s, %s FROM generate_series(1, %s) RETURNING id",
        [values["queue"], key, limit, values["priority"], values["run_at"], n],
    )
    return [row[0] for row in rows]


def make_fair(connection: Connection, queue: str = "mail", ageing: str | None = None) -> None:
    connection.execute("SELECT wsup.set_queue(%s, true, %s::interval)", [queue, ageing])


def taken(
    connection: Connection, n: int = 100, supervisor: int = 1, queues: Sequence[str] = ("mail",)
) -> list[Row]:
    """What a turn pulls, once it has served the marked keys."""
    return pull(connection, n, subscribed(list(queues)), supervisor)


def ids(rows: Sequence[Row]) -> list[int]:
    return [row[1] for row in rows]


def keys(connection: Connection, rows: Sequence[Row]) -> list[str | None]:
    """Whose jobs these are, in their order."""
    found = connection.execute(
        "SELECT j.key FROM unnest(%s::bigint[]) WITH ORDINALITY AS u(job, nr)"
        "  JOIN wsup.job j ON j.id = u.job ORDER BY u.nr",
        [ids(rows)],
    )
    return [row[0] for row in found]


def standing(connection: Connection) -> list[int]:
    """The jobs that are ready, in the order in which they will be pulled."""
    rows = connection.execute(
        "SELECT coalesce(real_job, job) FROM wsup.ready WHERE job > 0 ORDER BY rank, ready.job"
    )
    return [row[0] for row in rows]


def state(connection: Connection, *jobs: int) -> list[str | None]:
    rows = connection.execute("SELECT wsup.status(u) FROM unnest(%s::bigint[]) u", [list(jobs)])
    return [row[0] for row in rows]


def left_over(connection: Connection) -> tuple[int, ...]:
    """What remains of lines and turns."""
    row = connection.execute(
        "SELECT (SELECT count(*) FROM wsup.blocked), (SELECT count(*) FROM wsup.key_holder),"
        "       (SELECT count(*) FROM wsup.ready)"
    ).fetchone()
    assert row is not None
    return tuple(row)
