"""What operators do to jobs leaves none waiting for one that is gone."""

from typing import Any

import psycopg
import pytest
from kin import NOTHING, child, look, reason, remains, status
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


@pytest.mark.parametrize("lax", [False, True])
@pytest.mark.parametrize("child_first", [False, True])
def test_a_parent_is_removed_while_its_child_is_enqueued(
    child_first: bool, lax: bool, database: str, connection: Connection
) -> None:
    """Neither transaction sees the other: afterwards the child waits for nothing that there is."""
    (parent,) = fill(connection, 1)
    parents = ([], [parent]) if lax else ([parent], [])
    with psycopg.connect(database) as writer, psycopg.connect(database) as operator:
        writer.execute("SELECT")
        if child_first:
            job = child(writer, *parents[0], lax=parents[1])
        assert told(operator, "purge(%(jobs)s, true)", [parent]) == {parent: "purged"}
        if not child_first:
            job = child(writer, *parents[0], lax=parents[1])
            writer.commit()
            look(connection)
            assert status(connection, job) == ["blocked"]
        operator.commit()
    look(connection)
    assert status(connection, job) == ["ready" if lax else "cancelled"]
    assert lax or reason(connection, job) == f"its parent, job {parent}, has been removed"
    assert remains(connection) == NOTHING


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
