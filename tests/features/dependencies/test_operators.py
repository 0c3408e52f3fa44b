"""What operators do to jobs leaves none waiting for one that is gone."""

from typing import Any

import psycopg
from road import fill, pull, settle, succeeded

Connection = psycopg.Connection[Any]


def child_of(connection: Connection, *parents: int) -> int:
    row = connection.execute("SELECT wsup.enqueue('step', after => %s)", [list(parents)]).fetchone()
    assert row is not None
    return int(row[0])


def told(connection: Connection, call: str, jobs: list[int]) -> dict[int, str]:
    rows = connection.execute(f"SELECT job, state FROM wsup.{call}", {"jobs": jobs})  # noqa: S608
    return dict(rows.fetchall())


def test_a_job_that_others_wait_for_is_not_purged(database: str, connection: Connection) -> None:
    first, second = fill(connection, 2)
    child = child_of(connection, first, second)
    settle(database, succeeded(pull(connection, 1)[0]))
    purge = "purge(%(jobs)s, true)"
    assert told(connection, purge, [first, second]) == {first: "succeeded", second: "ready"}
    assert told(connection, purge, [child]) == {child: "purged"}
    assert told(connection, purge, [first, second]) == {first: "purged", second: "purged"}
    assert connection.execute("SELECT count(*) FROM wsup.dependency").fetchone() == (0,)


def test_what_a_waiting_child_needs_is_not_pruned(database: str, connection: Connection) -> None:
    first, second = fill(connection, 2)
    child_of(connection, first, second)
    settle(database, succeeded(pull(connection, 1)[0]))
    prune = "SELECT pruned FROM wsup.prune(NULL, 0, '{succeeded}', -1, 100)"
    assert connection.execute(prune).fetchone() == (0,)
    settle(database, succeeded(pull(connection, 1)[0]))
    assert connection.execute(prune).fetchone() == (2,)


def test_a_blocked_job_is_moved(database: str, connection: Connection) -> None:
    (first,) = fill(connection, 1)
    child = child_of(connection, first)
    assert told(connection, "move(%(jobs)s, 'other')", [child]) == {child: "moved"}
    settle(database, succeeded(pull(connection, 1)[0]))
    assert [row[1] for row in pull(connection, 1, ["other"])] == [child]
