"""Gates, by the statements alone: who is let in, and what must not be lost."""

import psycopg
import pytest
from gates import Connection, fill, holders, ids, limit, taken
from road import failed, places, put_off, settle, succeeded


def test_so_many_of_a_task_at_once(database: str, connection: Connection) -> None:
    limit(connection, "task", "send", max_running=2)
    jobs = fill(connection, 5)
    others = fill(connection, 2, "noop")
    rows = taken(connection)
    assert ids(rows) == [*jobs[:2], *others]
    assert [places(connection, job) for job in jobs[1:3]] == [["claimed"], ["blocked"]]
    assert taken(connection, supervisor=2) == []
    settle(database, succeeded(rows[0]))
    rest = taken(connection, supervisor=2)
    assert ids(rest) == [jobs[2]]
    settle(database, succeeded(rows[1]))
    assert ids(taken(connection)) == [jobs[3]]
    assert holders(connection) == 2


def test_the_first_in_line_by_priority_then_age(database: str, connection: Connection) -> None:
    limit(connection, "task", "send", max_running=1)
    low, lower = fill(connection, 2)
    rows = taken(connection)
    assert ids(rows) == [low]
    high, higher = fill(connection, 2, priority=5)
    for job in (high, higher, lower):
        settle(database, succeeded(rows[0]))
        rows = taken(connection)
        assert ids(rows) == [job]


def test_a_queue_and_its_tasks(database: str, connection: Connection) -> None:
    """A job passes the gate of its queue, then that of its task, holding both turns."""
    limit(connection, "queue", "other", max_running=3)
    limit(connection, "task", "send", max_running=1)
    sent = fill(connection, 3, queue="other")
    noops = fill(connection, 3, "noop", "other")
    elsewhere = fill(connection, 2)
    rows = {row[1]: row for row in taken(connection)}
    # All turns of the queue are taken by those that wait for the task's.
    assert list(rows) == [sent[0]]
    settle(database, succeeded(rows[sent[0]]))
    rows = {row[1]: row for row in taken(connection)}
    assert list(rows) == [sent[1], noops[0]]
    settle(database, *map(succeeded, rows.values()))
    rows = {row[1]: row for row in taken(connection)}
    assert list(rows) == [sent[2], *noops[1:]]
    settle(database, *map(succeeded, rows.values()))
    for job in elsewhere:
        (row,) = taken(connection)
        assert row[1] == job
        settle(database, succeeded(row))
    assert holders(connection) == 0


def test_a_key_comes_first(database: str, connection: Connection) -> None:
    limit(connection, "task", "send", max_running=2)
    keyed = fill(connection, 3, key="a")
    plain = fill(connection, 2)
    rows = taken(connection)
    assert sorted(ids(rows)) == [keyed[0], plain[0]]
    settle(database, *map(succeeded, rows))
    rows = taken(connection)
    assert sorted(ids(rows)) == [keyed[1], plain[1]]
    settle(database, *map(succeeded, rows))
    assert ids(taken(connection)) == [keyed[2]]


def test_who_is_put_off_passes_the_turn_on_and_who_is_given_back_keeps_it(
    database: str, connection: Connection
) -> None:
    limit(connection, "task", "send", max_running=1)
    first, second = fill(connection, 2)
    (row,) = taken(connection)
    settle(database, put_off(row))
    (row,) = taken(connection)
    assert row[1] == first
    connection.execute("SELECT wsup.rescue(1, 5)")
    (row,) = taken(connection)
    assert row[1] == first
    settle(database, failed(row, 0.0))
    (other,) = taken(connection)
    assert other[1] == second
    connection.execute("SELECT wsup.promote(10)")
    assert taken(connection) == []
    assert places(connection, first) == ["blocked"]
    settle(database, succeeded(other))
    (again,) = taken(connection)
    assert again[1:3] == (first, 2)


@pytest.mark.parametrize("how", ["cancel", "rescue", "purge"])
def test_whoever_ends_a_job_passes_its_turn_on(connection: Connection, how: str) -> None:
    limit(connection, "task", "send", max_running=1)
    first, second = fill(connection, 2)
    if how == "rescue":
        taken(connection)
        connection.execute("SELECT wsup.rescue(1, 0)")
    else:
        connection.execute("SELECT wsup.work_off_marks()")
        assert places(connection, first) == ["ready"]
        connection.execute(
            "SELECT wsup.cancel(%(jobs)s)"
            if how == "cancel"
            else "SELECT wsup.purge(%(jobs)s, true)",
            {"jobs": [first]},
        )
    assert ids(taken(connection)) == [second]
    assert holders(connection) == 1


def test_a_job_in_line_with_turns_passes_them_on_when_it_is_purged_or_cancelled(
    connection: Connection,
) -> None:
    limit(connection, "queue", "other", max_running=2)
    limit(connection, "task", "send", max_running=1)
    first, second, third = fill(connection, 3, queue="other")
    (noop,) = fill(connection, 1, "noop", "other")
    assert ids(taken(connection)) == [first]
    assert connection.execute("SELECT state FROM wsup.purge(%s, true)", [[second]]).fetchall() == [
        ("purged",)
    ]
    assert taken(connection) == []
    assert places(connection, third) == ["blocked"]
    connection.execute("SELECT wsup.cancel(%s)", [[third]])
    assert ids(taken(connection)) == [noop]


def test_jobs_move_to_another_queue_and_its_gates(database: str, connection: Connection) -> None:
    limit(connection, "queue", "default", max_running=1)
    limit(connection, "queue", "other", max_running=1)
    first, second = fill(connection, 2, "noop")
    connection.execute("SELECT wsup.work_off_marks()")
    moved = connection.execute("SELECT state FROM wsup.move(%s, 'other')", [[first, second]])
    assert moved.fetchall() == [("moved",), ("moved",)]
    third = fill(connection, 1, "noop")[0]
    rows = taken(connection)
    assert sorted(ids(rows)) == [first, third]
    settle(database, *map(succeeded, rows))
    assert ids(taken(connection)) == [second]
    assert places(connection, second) == ["claimed"]


def test_a_limit_changes_while_jobs_wait_and_run(database: str, connection: Connection) -> None:
    jobs = fill(connection, 8)
    # Those that are ready line up when the limit comes.
    limit(connection, "task", "send", max_running=1)
    rows = taken(connection)
    assert ids(rows) == jobs[:1]
    limit(connection, "task", "send", max_running=3)
    rows += taken(connection)
    assert ids(rows) == jobs[:3]
    limit(connection, "task", "send", max_running=2)
    settle(database, succeeded(rows[0]))
    assert taken(connection) == []
    settle(database, succeeded(rows[1]))
    rows = taken(connection)
    assert ids(rows) == jobs[3:4]
    limit(connection, "task", "send")
    assert ids(taken(connection)) == jobs[4:]
    assert holders(connection) == 0
    settle(database, succeeded(rows[0]))
    limit(connection, "task", "send", max_running=1)
    assert len(taken(connection)) == 0 == holders(connection)
    assert len(fill(connection, 2)) == 2
    assert len(taken(connection)) == 1


def test_a_turn_from_before_a_limit_was_lifted_is_not_kept(
    database: str, connection: Connection
) -> None:
    """Nobody could look at the gate before there was a limit again, because another one had it."""
    limit(connection, "task", "send", max_running=1)
    first, second = fill(connection, 2)
    assert taken(connection, 0) == []
    with psycopg.connect(database) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended(E'\\0053send', 0))")
        limit(connection, "task", "send")
        (row,) = taken(connection, 1)
        limit(connection, "task", "send", max_running=1)
    assert row[1] == first
    settle(database, succeeded(row))
    assert ids(taken(connection)) == [second]


def test_a_gate_in_another_ones_hands(database: str, connection: Connection) -> None:
    limit(connection, "task", "send", max_running=1)
    _, second = fill(connection, 2)
    (row,) = taken(connection)
    with psycopg.connect(database) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended(E'\\0053send', 0))")
        settle(database, succeeded(row))
        assert taken(connection) == []
        assert places(connection, second) == ["blocked"]
    assert ids(taken(connection)) == [second]


def test_who_undoes_a_cancellation_is_not_forgotten(database: str, connection: Connection) -> None:
    limit(connection, "task", "send", max_running=1)
    _, second, third = fill(connection, 3)
    (row,) = taken(connection)
    with psycopg.connect(database) as caller:
        caller.execute("SELECT wsup.cancel(%s)", [[second]])
        settle(database, succeeded(row))
        (row,) = taken(connection)
        assert row[1] == third
        caller.rollback()
    settle(database, succeeded(row))
    assert ids(taken(connection)) == [second]


def test_room_for_one_that_was_locked_is_not_forgotten(
    database: str, connection: Connection
) -> None:
    first, second = fill(connection, 2)
    with psycopg.connect(database) as caller:
        limit(connection, "task", "send", max_running=2)
        caller.execute("SELECT wsup.cancel(%s)", [[second]])
        assert ids(taken(connection)) == [first]
        caller.rollback()
    assert ids(taken(connection)) == [second]


def test_a_job_that_comes_while_its_gate_is_served(database: str, connection: Connection) -> None:
    limit(connection, "task", "send", max_running=5)
    fill(connection, 1)
    with psycopg.connect(database) as writer:
        (high,) = fill(writer, 1, priority=9)
        assert len(taken(connection)) == 1
    assert ids(taken(connection)) == [high]


def test_waiting_jobs_and_children_pass_the_gates_when_their_time_has_come(
    database: str, connection: Connection
) -> None:
    limit(connection, "task", "send", max_running=1)
    (parent,) = fill(connection, 1, "noop")
    child = connection.execute(
        "SELECT wsup.enqueue('send', after => %s, queue => 'default')", [[parent]]
    ).fetchone()
    later = connection.execute("SELECT wsup.enqueue('send', delay => '1 h')").fetchone()
    plain = connection.execute("SELECT wsup.enqueue('noop', delay => '1 h')").fetchone()
    assert child is not None
    assert later is not None
    assert plain is not None
    settle(database, *map(succeeded, taken(connection)))
    (row,) = taken(connection)
    assert row[1] == child[0]
    connection.execute("UPDATE wsup.waiting SET due_at = now()")
    connection.execute("SELECT wsup.promote(10)")
    assert ids(taken(connection)) == [plain[0]]
    assert places(connection, later[0]) == ["blocked"]
    settle(database, failed(row))
    assert ids(taken(connection)) == [later[0]]
    connection.execute("SELECT wsup.retry(%s)", [[child[0]]])
    assert places(connection, child[0]) == ["blocked"]


def test_a_unique_job_at_a_gate_is_replaced(connection: Connection) -> None:
    limit(connection, "task", "send", max_running=1)
    one, two = (
        connection.execute(
            "SELECT wsup.enqueue('send', %s, unique_key => 'k', on_conflict => 'replace')", [args]
        ).fetchone()
        for args in ('{"n": 1}', '{"n": 2}')
    )
    assert one == two
    (row,) = taken(connection)
    assert row[5] == {"n": 2}
    again = connection.execute(
        "SELECT wsup.enqueue('send', unique_key => 'k', on_conflict => 'replace')"
    ).fetchone()
    assert again == one
    assert taken(connection) == []


def test_in_a_fair_queue_limits_hold_and_the_others_take_turns(
    database: str, connection: Connection
) -> None:
    connection.execute("SELECT wsup.set_queue('default', fair => true)")
    limit(connection, "task", "send", max_running=1)
    sent = fill(connection, 3, key="a")
    first = fill(connection, 3, "noop", key="b")
    second = fill(connection, 3, "noop", key="c")
    rows = taken(connection)
    assert sorted(ids(rows)) == sorted([sent[0], *first, *second])
    order = [job for job in ids(rows) if job != sent[0]]
    assert order == [job for pair in zip(first, second, strict=True) for job in pair]
    settle(database, *map(succeeded, rows))
    assert ids(taken(connection)) == [sent[1]]
