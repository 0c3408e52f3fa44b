"""On which connections a task may end its job, and what else can become of it."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from running import Supervisor, enqueue, failures, finished

Connection = psycopg.Connection[Any]

#: How the connection is given or used, and what the attempt's failure says.
REFUSED = {
    "busy": ("TaskError", "amid a transaction"),
    "no connection": (
        "TaskError",
        "transaction(str) won't do: give a psycopg.Connection, or a pool",
    ),
    "commits": ("ProgrammingError", "Explicit commit() forbidden"),
    "raises": ("ValueError", "no seat left"),
    "no JSON": ("ResultError", "object can't be encoded as JSON"),
    "twice": ("UniqueViolation", "duplicate key"),
}


@pytest.fixture
def _host(make_supervisor: Callable[..., Supervisor], connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE booking (job bigint, attempt integer, hangs boolean,"
        " UNIQUE (job, attempt) DEFERRABLE INITIALLY DEFERRED)"
    )
    make_supervisor("--subworkers", "1", app="bookings:both").start()


def outcome(connection: Connection, task: str, database: str, how: str) -> Any:
    """The state of such a job in the end, its result, and how many bookings there are of it."""
    job = enqueue(connection, task, database=database, how=how)
    finished(connection, job)
    return job, connection.execute(
        "SELECT state, result, (SELECT count(*) FROM booking b WHERE b.job = o.job)"
        "  FROM wsup.outcome o WHERE o.job = %s",
        [job],
    ).fetchone()


@pytest.mark.usefixtures("_host")
def test_connections(connection: Connection, database: str) -> None:
    for task, how in [
        ("book_with", "plain"),
        ("book_with", "autocommit"),
        ("book_with", "pool"),
        ("book_with", "again"),
        ("book_with_async", "plain"),
        ("book_with_async", "pool"),
    ]:
        assert outcome(connection, task, database, how)[1] == ("succeeded", None, 1), how
    for how, (kind, message) in REFUSED.items():
        job, ended = outcome(connection, "book_with", database, how)
        assert ended == ("failed", None, 0), how
        ((_, told, said),) = failures(connection, job)
        assert told == kind
        assert message in said
    for how, message in [
        ("raises", "no seat left"),
        ("not async", "atransaction(Connection) won't do: give a psycopg.AsyncC"),
    ]:
        job, ended = outcome(connection, "book_with_async", database, how)
        assert ended == ("failed", None, 0), how
        assert message in failures(connection, job)[0][2]
    # Rolled back on purpose, the job goes on, and ends as its task does.
    assert outcome(connection, "book_with", database, "rolls back")[1] == (
        "succeeded",
        "returned",
        0,
    )
