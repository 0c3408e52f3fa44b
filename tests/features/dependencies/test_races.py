"""Transactions that can't see, or must not wait for, each other: no child is forgotten."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from kin import NOTHING, child, claimed, look, reason, remains, status, succeed
from road import failed, fill, pull, settle, succeeded

Connection = psycopg.Connection[Any]

END = "INSERT INTO wsup.outcome (job, state, attempt) VALUES (%s, %s, 1)"


@contextmanager
def opened(database: str, *levels: psycopg.IsolationLevel) -> Iterator[Connection]:
    """A transaction that stays open until it is left, or committed."""
    with psycopg.connect(database) as connection:
        for level in levels:
            connection.isolation_level = level
        connection.execute("SELECT")
        yield connection


def end(connection: Connection, job: int, state: str = "succeeded") -> None:
    """What every way to an end does, within a transaction of its own."""
    connection.execute("DELETE FROM wsup.ready WHERE job = %s", [job])
    connection.execute(END, [job, state])
    connection.execute("SELECT wsup.release(%s)", [[job]])


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("good", [True, False])
def test_the_parent_ends_before_its_child_is_committed(
    good: bool, fixed: bool, database: str, connection: Connection
) -> None:
    (parent,) = fill(connection, 1)
    levels = [psycopg.IsolationLevel.REPEATABLE_READ] if fixed else []
    with opened(database, *levels) as writer:
        job = child(writer, parent)
        (row,) = claimed(connection, parent)
        settle(database, succeeded(row) if good else failed(row))
        assert look(connection) is None
        writer.commit()
    assert status(connection, job) == ["blocked"]
    look(connection)
    assert status(connection, job) == ["ready" if good else "cancelled"]
    assert remains(connection) == NOTHING


@pytest.mark.parametrize("good", [True, False])
def test_the_child_is_committed_before_its_parents_end_is(
    good: bool, database: str, connection: Connection
) -> None:
    """And a look comes between: what was in flight then is waited for."""
    parent, other, unrelated = fill(connection, 3)
    with opened(database) as ending, opened(database) as idle, opened(database) as writer:
        end(idle, unrelated)  # which would delay the child, were it only known that it is open
        job = child(writer, parent)
        end(ending, parent, "succeeded" if good else "failed")
        writer.commit()
        pause = look(connection)
        assert pause is not None
        assert status(connection, job) == ["blocked"]
        ending.commit()
        look(connection)
        assert status(connection, job) == ["ready" if good else "cancelled"]
        end(idle, other)
    look(connection)
    assert remains(connection) == NOTHING


def test_the_looks_become_rarer_while_somebody_stays_open(
    database: str, connection: Connection
) -> None:
    parent, other = fill(connection, 2)
    with opened(database) as idle:
        end(idle, other)
        job = child(connection, parent)
        assert look(connection) is not None
        connection.execute("UPDATE wsup.loose_end SET made_at = now() - interval '1 hour'")
        assert look(connection) == 1
        before = remains(connection)
    look(connection)
    assert before == (1, 1, 1)
    assert remains(connection) == (1, 1, 0)
    assert status(connection, job) == ["blocked"]


def test_who_enqueues_a_child_and_stays_open_is_not_taken_for_one_who_ends_jobs(
    database: str, connection: Connection
) -> None:
    (parent,) = fill(connection, 1)
    with opened(database) as idle:
        child(idle, parent)
        child(connection, parent)
        assert look(connection) is None


@pytest.mark.parametrize("state", ["succeeded", "failed"])
def test_two_parents_end_at_once(state: str, database: str, connection: Connection) -> None:
    """Each turn sees that the other parent has not ended; neither waits for the other."""
    first, second = fill(connection, 2)
    job = child(connection, first, second)
    look(connection)
    with opened(database) as one, opened(database) as two:
        for turn, parent in ((one, first), (two, second)):
            turn.execute("SET lock_timeout = '5s'")
            end(turn, parent, state)
        one.commit()
        two.commit()
    look(connection)
    assert status(connection, job) == ["ready" if state == "succeeded" else "cancelled"]
    assert remains(connection) == NOTHING


def test_a_caller_who_cancels_a_child_and_stays_open_holds_nobody_up(
    database: str, connection: Connection
) -> None:
    parent, other = fill(connection, 2)
    jobs = [child(connection, parent, other) for _ in range(2)]
    look(connection)
    connection.execute("SET lock_timeout = '5s'")
    with opened(database) as caller:
        caller.execute("SELECT wsup.cancel(%s)", [[jobs[0]]])
        succeed(database, connection, parent, other)
        assert status(connection, *jobs) == ["blocked", "ready"]
        assert look(connection) is not None
        caller.rollback()
    look(connection)
    assert status(connection, *jobs) == ["ready", "ready"]
    assert remains(connection) == NOTHING


def test_a_caller_who_cancels_a_parent_and_stays_open(
    database: str, connection: Connection
) -> None:
    first, second = fill(connection, 2)
    job = child(connection, first, lax=[second])
    connection.execute("SET lock_timeout = '5s'")
    with opened(database) as caller:
        caller.execute("SELECT wsup.cancel(%s)", [[first]])
        succeed(database, connection, second)
        late = child(connection, first)
        look(connection)
        assert status(connection, job, late) == ["blocked", "blocked"]
        caller.commit()
    look(connection)
    assert status(connection, job, late) == ["cancelled", "cancelled"]
    assert remains(connection) == NOTHING


def test_a_caller_whose_snapshot_is_older_than_the_child_cancels_its_parent(
    database: str, connection: Connection
) -> None:
    (parent,) = fill(connection, 1)
    with opened(database, psycopg.IsolationLevel.REPEATABLE_READ) as caller:
        job = child(connection, parent)
        assert look(connection) is None
        caller.execute("SELECT wsup.cancel(%s)", [[parent]])
    look(connection)
    assert status(connection, job) == ["cancelled"]
    assert remains(connection) == NOTHING


def test_parents_and_children_of_one_transaction_leave_nothing_to_look_at(
    database: str, connection: Connection
) -> None:
    with opened(database) as writer:
        (parent,) = fill(writer, 1)
        job = child(writer, parent)
        writer.commit()
    assert remains(connection) == (1, 1, 0)
    succeed(database, connection, parent)
    assert status(connection, job) == ["ready"]


def test_a_rolled_back_child_is_none(database: str, connection: Connection) -> None:
    (parent,) = fill(connection, 1)
    with opened(database) as writer:
        child(writer, parent)
        writer.rollback()
    succeed(database, connection, parent)
    assert remains(connection) == NOTHING


def test_what_a_long_transaction_keeps_is_not_waded_through(
    database: str, connection: Connection
) -> None:
    """Dead loose ends can't be vacuumed; a look touches few pages all the same."""
    (parent,) = fill(connection, 1)
    claimed(connection, parent)
    with opened(database, psycopg.IsolationLevel.REPEATABLE_READ) as analyst:
        analyst.execute("SELECT count(*) FROM wsup.job")
        touched = []
        for _ in range(6):
            connection.execute(
                "INSERT INTO wsup.job (task, after) SELECT 'noop', ARRAY[%s::bigint]"
                "  FROM generate_series(1, 1000)",
                [parent],
            )
            look(connection)
            touched.append(pages(connection, "SELECT wsup.untied()"))
        assert remains(connection) == (6000, 6000, 0)
        print("pages touched", touched)
        assert touched[-1] < 1.5 * touched[1]


def pages(connection: Connection, query: str) -> int:
    row = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}").fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def test_the_work_of_a_turn_is_bounded_and_linear(database: str, connection: Connection) -> None:
    """One parent of many, and then one child of many: the pages touched grow as their number."""
    touched = []
    for n in (1000, 8000):
        (root,) = fill(connection, 1)
        rows = connection.execute(
            "INSERT INTO wsup.job (task, after) SELECT 'noop', ARRAY[%s::bigint]"
            "  FROM generate_series(1, %s) RETURNING id",
            [root, n],
        )
        middle = [row[0] for row in rows]
        last = child(connection, *middle)
        look(connection)
        connection.execute("VACUUM ANALYZE wsup.dependency, wsup.child, wsup.job, wsup.outcome")
        with connection.transaction():
            connection.execute("DELETE FROM wsup.ready")
            connection.execute(END, [root, "succeeded"])
            out = pages(connection, f"SELECT wsup.release('{{{root}}}')")
        assert len(pull(connection, n + 1)) == n
        with connection.transaction():
            connection.execute(
                "INSERT INTO wsup.outcome (job, state, attempt)"
                " SELECT unnest(%s::bigint[]), 'succeeded', 1",
                [middle],
            )
            back = pages(connection, f"SELECT wsup.release(ARRAY{middle})")
        assert status(connection, last) == ["ready"]
        touched.append((out, back))
    assert touched[1][0] < 12 * touched[0][0]
    assert touched[1][1] < 12 * touched[0][1]


def test_more_children_than_one_turn_sees_to(database: str, connection: Connection) -> None:
    (root,) = fill(connection, 1)
    connection.execute(
        "INSERT INTO wsup.job (task, after) SELECT 'noop', ARRAY[%s::bigint]"
        "  FROM generate_series(1, 25000)",
        [root],
    )
    connection.execute("DELETE FROM wsup.loose_end")
    succeed(database, connection, root)
    left = [remains(connection)[0]]
    while left[-1]:
        pause = look(connection)
        left.append(remains(connection)[0])
        assert not left[-1] or (pause is not None and pause < 0.1)
    assert left == [15000, 5000, 0]
    assert remains(connection) == NOTHING


def test_a_deep_chain_is_cancelled_link_by_link(database: str, connection: Connection) -> None:
    (root,) = fill(connection, 1)
    links = [root]
    with connection.transaction():
        for _ in range(250):
            links.append(child(connection, links[-1]))
    (row,) = claimed(connection, root)
    settle(database, failed(row))
    for left in (150, 50, 0):
        assert remains(connection)[0] == left
        look(connection)
    assert remains(connection) == NOTHING
    assert reason(connection, links[-1]) == f"its parent, job {links[-2]}, was cancelled"


def test_a_retried_parent_is_no_ended_one(database: str, connection: Connection) -> None:
    """Its children were not all told of the failure when it is run again."""
    first, second = fill(connection, 2)
    job = child(connection, first)
    look(connection)
    with opened(database) as holder:
        holder.execute("SELECT wsup.cancel(%s)", [[job]])
        rows = claimed(connection, first, second)
        settle(database, failed(rows[0]))
        assert remains(connection) == (1, 1, 1)
        connection.execute("SELECT wsup.retry(%s)", [[first]])
        holder.rollback()
    look(connection)
    assert remains(connection) == (1, 1, 0)
    succeed(database, connection, first)
    assert status(connection, job) == ["ready"]
