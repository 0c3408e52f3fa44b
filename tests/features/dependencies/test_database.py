"""Who waits for whom, and what becomes of children, by the statements alone."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from kin import (
    NOTHING,
    child,
    claimed,
    look,
    reason,
    remains,
    status,
    succeed,
)
from road import failed, fill, places, pull, put_off, settle, succeeded, with_source

from wsup.sql.answers import Pull
from wsup.sql.settlement import CANCELLED, Over
from wsup.sql.source import PostgresSource

Connection = psycopg.Connection[Any]
End = Callable[[str, Connection, int], None]


def test_a_child_is_pulled_by_the_turn_that_ends_its_last_parent(
    database: str, connection: Connection
) -> None:
    first, second = fill(connection, 2)
    job = child(connection, first, second)
    assert status(connection, first, second, job) == ["ready", "ready", "blocked"]
    rows = claimed(connection, first, second)
    assert settle(database, succeeded(rows[0])) == 0
    assert status(connection, job) == ["blocked"]

    async def turn(source: PostgresSource) -> list[int]:
        return [
            row[1] for row in (await source.turn([succeeded(rows[1])], Pull(["default"], 9))).rows
        ]

    assert with_source(database, turn) == [job]
    look(connection)
    assert remains(connection) == NOTHING


def test_one_that_is_put_back_has_not_ended(database: str, connection: Connection) -> None:
    (parent,) = fill(connection, 1)
    job = child(connection, parent)
    (row,) = claimed(connection, parent)
    settle(database, failed(row, retry_after=0.0))
    look(connection)
    (row,) = claimed(connection, parent)
    settle(database, put_off(row))
    assert status(connection, job) == ["blocked"]
    succeed(database, connection, parent)
    assert status(connection, job) == ["ready"]


def by_failing(database: str, connection: Connection, job: int) -> None:
    (row,) = claimed(connection, job)
    settle(database, failed(row))


def by_its_task(database: str, connection: Connection, job: int) -> None:
    (row,) = claimed(connection, job)
    settle(database, Over(row[0], job, 1, CANCELLED, 0.0, 0, None, "why"))


def by_request(database: str, connection: Connection, job: int) -> None:
    connection.execute("SELECT wsup.cancel(ARRAY[%s::bigint])", [job])
    look(connection)  # that of a supervisor that was told


def by_request_while_it_ran(database: str, connection: Connection, job: int) -> None:
    (row,) = claimed(connection, job)
    connection.execute("SELECT wsup.cancel(ARRAY[%s::bigint])", [job])
    settle(database, put_off(row))
    connection.execute("SELECT wsup.drop_cancelled()")


def by_request_in_a_fixed_snapshot(database: str, connection: Connection, job: int) -> None:
    with psycopg.connect(database) as caller:
        caller.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        caller.execute("SELECT wsup.cancel(ARRAY[%s::bigint])", [job])
    look(connection)


def by_killing_every_host(database: str, connection: Connection, job: int) -> None:
    claimed(connection, job)
    connection.execute("SELECT wsup.rescue(1, 0)")


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (by_failing, "has failed"),
        (by_its_task, "was cancelled"),
        (by_request, "was cancelled"),
        (by_request_while_it_ran, "was cancelled"),
        (by_request_in_a_fixed_snapshot, "was cancelled"),
        (by_killing_every_host, "has failed"),
    ],
)
def test_whatever_ends_a_parent(end: End, said: str, database: str, connection: Connection) -> None:
    (parent,) = fill(connection, 1)
    strict, lax = child(connection, parent), child(connection, lax=[parent])
    grandchild, both = child(connection, strict), child(connection, lax, lax=[strict])
    look(connection)
    end(database, connection, parent)
    assert status(connection, strict, grandchild) == ["cancelled", "cancelled"]
    assert reason(connection, strict) == f"its parent, job {parent}, {said}"
    assert reason(connection, grandchild) == f"its parent, job {strict}, was cancelled"
    assert status(connection, lax, both) == ["ready", "blocked"]
    succeed(database, connection, lax)
    assert places(connection, both) == ["ready"]
    look(connection)
    assert remains(connection) == NOTHING


def test_parents_that_have_ended_already(database: str, connection: Connection) -> None:
    good, bad = fill(connection, 2)
    rows = claimed(connection, good, bad)
    settle(database, succeeded(rows[0]), failed(rows[1]))
    free, doomed = child(connection, good), child(connection, good, bad)
    lax, later = child(connection, good, lax=[bad]), child(connection, good, delay="1 hour")
    after_all = child(connection, doomed)
    assert status(connection, free, lax, later) == ["ready", "ready", "waiting"]
    assert status(connection, doomed, after_all) == ["cancelled", "cancelled"]
    assert reason(connection, after_all) == f"its parent, job {doomed}, was cancelled"
    assert remains(connection) == NOTHING


def test_a_child_that_was_due_later_waits_for_that_too(
    database: str, connection: Connection
) -> None:
    (parent,) = fill(connection, 1)
    job = child(connection, parent, delay="1 hour")
    assert status(connection, job) == ["blocked"]
    succeed(database, connection, parent)
    assert status(connection, job) == ["waiting"]


def test_on_parent_failure_run(database: str, connection: Connection) -> None:
    first, second = fill(connection, 2)
    query = "SELECT wsup.enqueue('noop', after => %s, on_parent_failure => 'run')"
    row = connection.execute(query, [[first, second]]).fetchone()
    assert row is not None
    rows = claimed(connection, first, second)
    settle(database, failed(rows[0]))
    assert status(connection, row[0]) == ["blocked"]
    settle(database, succeeded(rows[1]))
    assert status(connection, row[0]) == ["ready"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("after => '{999}'", "there is no job 999 to wait for: it never was, or has been removed"),
        ("after_lax => '{999}'", "there is no job 999 to wait for"),
        ("after => '{NULL}'", "there is no job NULL to wait for"),
        ("after => '{1}', after_lax => '{1}'", "named in after and in after_lax: leave one"),
        ("after => '{1}', on_parent_failure => 'ask'", 'ask is neither "cancel" nor "run"'),
    ],
)
def test_refusals(arguments: str, says: str, connection: Connection) -> None:
    fill(connection, 1)
    with pytest.raises(psycopg.Error, match=says) as caught:
        connection.execute(f"SELECT wsup.enqueue('noop', {arguments})")
    assert "\n" not in str(caught.value.diag.message_primary)
    assert connection.execute("SELECT count(*) FROM wsup.job").fetchone() == (1,)


@pytest.mark.parametrize("parents", [{101: [101]}, {101: [102], 102: [101]}])
def test_a_cycle_can_not_be_written_by_hand(
    parents: dict[int, list[int]], connection: Connection
) -> None:
    rows = "".join(f"{job}\tnoop\t{{{after[0]}}}\n" for job, after in parents.items())

    def load() -> None:
        with connection.cursor().copy("COPY wsup.job (id, task, after) FROM STDIN") as copy:
            copy.write(rows)

    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="by a job of a smaller number"):
        load()


def test_no_parents_at_all(connection: Connection) -> None:
    connection.execute("INSERT INTO wsup.job (task, after, after_lax) VALUES ('noop', '{}', '{}')")
    assert len(pull(connection, 9)) == 1


def test_a_blocked_job_is_cancelled_at_once(database: str, connection: Connection) -> None:
    first, second = fill(connection, 2)
    job = child(connection, first, second)
    grandchild = child(connection, job)
    told = connection.execute("SELECT state FROM wsup.cancel(ARRAY[%s::bigint])", [job]).fetchall()
    assert told == [("cancelled",)]
    look(connection)
    assert status(connection, grandchild) == ["cancelled"]
    succeed(database, connection, first, second)
    assert places(connection, job) == ["cancelled"]
    assert remains(connection) == NOTHING


def retry(connection: Connection, *jobs: int) -> list[str]:
    return [row[1] for row in connection.execute("SELECT * FROM wsup.retry(%s)", [list(jobs)])]


def test_what_is_run_again_waits_for_what_is_run_again(
    database: str, connection: Connection
) -> None:
    failing, other = fill(connection, 2)
    job = child(connection, failing, other)
    grandchild = child(connection, job)
    rows = claimed(connection, failing, other)
    settle(database, failed(rows[0]), succeeded(rows[1]))
    assert retry(connection, grandchild, job, failing) == ["blocked", "blocked", "ready"]
    succeed(database, connection, failing)
    (row,) = claimed(connection, job)
    assert row[2] == 2
    settle(database, failed(row))
    assert reason(connection, grandchild) == f"its parent, job {job}, has failed"
    # By itself, an operator's word counts for more than what a parent has come to.
    assert retry(connection, grandchild) == ["ready"]
    look(connection)
    assert remains(connection) == NOTHING
