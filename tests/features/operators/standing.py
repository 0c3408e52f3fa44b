"""Jobs in every place where one can stand, made by the statements of the road alone."""

import json
from typing import Any

import psycopg
from road import fill, pull

Connection = psycopg.Connection[Any]


def made(connection: Connection, task: str, queue: str, **columns: object) -> int:
    """Enqueue one job; returns its id."""
    row = connection.execute(
        "SELECT wsup.enqueue(%s, %s, queue => %s, priority => %s, delay => %s)",
        [
            task,
            json.dumps(columns.get("args", {})),
            queue,
            columns.get("priority", 0),
            columns.get("delay"),
        ],
    ).fetchone()
    assert row is not None
    return int(row[0])


def over(connection: Connection, job: int, state: str, error: str = "", hours: float = 0) -> int:
    """Let a ready job have ended so many hours ago, with this error in its last attempt."""
    connection.execute("DELETE FROM wsup.ready WHERE job = %s", [job])
    connection.execute(
        "INSERT INTO wsup.outcome (job, state, attempt, finished_at)"
        " VALUES (%s, %s, 2, clock_timestamp() - %s * interval '1 hour')",
        [job, state, hours],
    )
    for attempt, kind in ((1, "OSError"), (2, error)):
        if error:
            connection.execute(
                "INSERT INTO wsup.failure (job, attempt, type, message) VALUES (%s, %s, %s, '')",
                [job, attempt, kind],
            )
    return job


def everywhere(connection: Connection) -> dict[str, int]:
    """One job a state, and some more failed ones; by a name for each."""
    jobs = {"running": fill(connection, 1, "mail")[0]}
    pull(connection, 1, ["mail"])
    jobs["ready"] = made(connection, "send", "mail", priority=2)
    jobs["waiting"] = made(connection, "send", "mail", delay="1 hour", priority=-3)
    jobs["elsewhere"] = made(connection, "send", "other")
    for name, task, state, error, hours in (
        ("succeeded", "send", "succeeded", "", 0),
        ("cancelled", "send", "cancelled", "", 0),
        ("expired", "send", "expired", "", 0),
        ("failed", "send", "failed", "ValueError", 0),
        ("failed yesterday", "send", "failed", "ValueError", 24),
        ("failed otherwise", "send", "failed", "KeyError", 0),
        ("another task", "fetch", "failed", "KeyError", 0),
    ):
        jobs[name] = over(connection, made(connection, task, "mail"), state, error, hours)
    return jobs


def states(connection: Connection, jobs: dict[str, int]) -> dict[str, str]:
    """Where each stands."""
    rows = connection.execute(
        "SELECT id, wsup.status(id) FROM wsup.job WHERE id = ANY (%s)", [list(jobs.values())]
    )
    by_id = dict(rows.fetchall())
    return {name: by_id[job] for name, job in jobs.items() if job in by_id}
