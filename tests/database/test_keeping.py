"""Rescue, promotion, sleeping and waking, lanes."""

from typing import Any

import psycopg
import pytest
from road import failed, fill, places, pull, settle, succeeded, with_source

Connection = psycopg.Connection[Any]


def one(connection: Connection, statement: str, *parameters: object) -> Any:
    row = connection.execute(statement, parameters).fetchone()
    assert row is not None
    return row[0]


def test_rescue_frees_exactly_what_was_not_settled(database: str, connection: Connection) -> None:
    fill(connection, 5)
    rows = pull(connection, 5)
    settle(database, succeeded(rows[1]), failed(rows[3], retry_after=60))
    assert one(connection, "SELECT wsup.rescue(1, 5)") == 3
    assert [places(connection, row[1]) for row in rows] == [
        ["ready"], ["succeeded"], ["ready"], ["waiting"], ["ready"],
    ]  # fmt: skip


def test_rescue_keeps_the_attempt(database: str, connection: Connection) -> None:
    fill(connection, 2)
    rows = pull(connection, 2)
    settle(database, failed(rows[0], retry_after=0))
    connection.execute("SELECT wsup.promote(10)")
    again = pull(connection, 1)
    assert (again[0][1], again[0][2]) == (rows[0][1], 2)
    connection.execute("SELECT wsup.rescue(1, 5)")
    assert {(row[1], row[2]) for row in pull(connection, 5)} == {(rows[0][1], 2), (rows[1][1], 1)}


def test_a_job_that_kills_every_host_is_given_up(connection: Connection) -> None:
    (job,) = fill(connection, 1)
    for _ in range(3):
        assert len(pull(connection, 1)) == 1
        connection.execute("SELECT wsup.rescue(1, 2)")
    assert places(connection, job) == ["failed"]
    assert one(connection, "SELECT count(*) FROM wsup.failure WHERE lost") == 3


def test_rescue_and_a_late_commit_never_both_count(database: str, connection: Connection) -> None:
    """Whoever comes first has the claim; the turn comes back later, and finds it gone."""
    fill(connection, 1)
    (row,) = pull(connection, 1)
    late = succeeded(row)
    with psycopg.connect(database) as rescuer:
        rescuer.execute("SELECT wsup.rescue(1, 5)")
        turn = with_source(database, lambda source: source.turn([late], None))
        assert (turn.refused, turn.deferred) == (0, [late])
    assert settle(database, late) == 1
    assert places(connection, row[1]) == ["ready"]


def test_a_rescue_does_not_wait_for_who_is_stopped_amid_a_turn(
    database: str, connection: Connection
) -> None:
    """It holds a claim of which it settles a part, and jobs that it was about to claim."""
    jobs = fill(connection, 3)
    first, _ = pull(connection, 2)
    with psycopg.connect(database) as stopped, psycopg.connect(database) as enqueuer:
        enqueuer.execute("SELECT wsup.enqueue('noop')")
        stopped.execute("SELECT id FROM wsup.claim FOR UPDATE")
        assert len(pull(stopped, 1)) == 1
        while not one(
            connection,
            "SELECT clock_timestamp() - state_change > interval '1 s' FROM pg_stat_activity"
            " WHERE pid = %s",
            stopped.info.backend_pid,
        ):
            pass
        assert with_source(database, lambda source: source.rescue(1, 5)) == 2
        enqueuer.commit()
        with pytest.raises(psycopg.OperationalError, match="terminat"):
            stopped.commit()
    assert settle(database, succeeded(first)) == 1
    assert {row[1] for row in pull(connection, 4)} > set(jobs)


def test_due_jobs_are_promoted_once(connection: Connection) -> None:
    due = [
        one(connection, "SELECT wsup.enqueue('noop', delay => interval '200 ms')") for _ in range(3)
    ]
    later = one(connection, "SELECT wsup.enqueue('noop', delay => interval '1 hour')")
    connection.execute("SELECT pg_sleep(0.25)")
    promoted, next_due = connection.execute("SELECT * FROM wsup.promote(100)").fetchone() or ()
    assert promoted == 3
    assert 3500 < next_due <= 3600
    assert [places(connection, job) for job in due] == [["ready"]] * 3
    assert places(connection, later) == ["waiting"]
    assert one(connection, "SELECT promoted FROM wsup.promote(100)") == 0


def heard(listener: Connection) -> set[str]:
    return {note.channel for note in listener.notifies(timeout=0.2)}


def listen(database: str) -> Connection:
    listener = psycopg.connect(database, autocommit=True)
    for channel in ("wsup", "wsup_1", "wsup_2"):
        listener.execute(f"LISTEN {channel}")
    return listener


def sleep(connection: Connection, supervisor: int, queue: str) -> None:
    connection.execute(
        "INSERT INTO wsup.sleeper VALUES (%s, ARRAY[%s], interval '5 s')", [supervisor, queue]
    )


def test_only_sleepers_are_notified(database: str, connection: Connection) -> None:
    with listen(database) as listener:
        fill(connection, 1, "a")
        assert heard(listener) == set()
        sleep(connection, 1, "a")
        sleep(connection, 2, "b")
        fill(connection, 1, "a")
        assert heard(listener) == {"wsup_1"}
        fill(connection, 1, "c")
        assert heard(listener) == set()


def test_copy_and_retries_wake_too(database: str, connection: Connection) -> None:
    sleep(connection, 1, "default")
    with listen(database) as listener:
        with connection.cursor().copy("COPY wsup.job (task) FROM STDIN") as copy:
            copy.write_row(["noop"])
        assert heard(listener) == {"wsup_1"}
        (row,) = pull(connection, 1)
        settle(database, failed(row, retry_after=0.01))
        assert heard(listener) == {"wsup_1"}  # it is due before the sleeper would look


def test_a_job_due_later_than_the_next_look_wakes_nobody(
    database: str, connection: Connection
) -> None:
    sleep(connection, 1, "default")
    with listen(database) as listener:
        connection.execute("SELECT wsup.enqueue('noop', delay => interval '1 hour')")
        assert heard(listener) == set()


def test_a_writer_with_a_fixed_snapshot_always_calls(database: str, connection: Connection) -> None:
    with listen(database) as listener, psycopg.connect(database) as writer:
        writer.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        writer.execute("SELECT 1")
        sleep(connection, 1, "default")
        writer.execute("SELECT wsup.enqueue('noop')")
        writer.commit()
        assert heard(listener) == {"wsup"}


def test_a_look_names_the_writers_in_flight(database: str, connection: Connection) -> None:
    """The lost wake-up: a job written before the sleeper's word, committed after its look."""
    with psycopg.connect(database) as writer:
        writer.execute("SELECT wsup.enqueue('noop')")
        sleep(connection, 1, "default")
        look = "SELECT ready, cardinality(writers) FROM wsup.look('{default}')"
        assert connection.execute(look).fetchone() == (False, 1)
        writer.commit()
        assert connection.execute(look).fetchone() == (True, 0)


def test_a_closed_lane_is_swept(connection: Connection) -> None:
    jobs = fill(connection, 10)
    pull(connection, 4)
    assert one(connection, "SELECT wsup.sweep(0, 100)") is False  # still the current one
    connection.execute("SELECT nextval('wsup.lane_turn')")
    assert one(connection, "SELECT wsup.sweep(0, 3)") is False  # more jobs than may be moved
    assert one(connection, "SELECT wsup.sweep(0, 100)") is True
    assert one(connection, "SELECT count(*) FROM wsup.ready_1") == 6
    assert one(connection, "SELECT pg_relation_size('wsup.ready_0')") == 0
    assert [row[1] for row in pull(connection, 10)] == jobs[4:]


def test_a_lane_with_an_open_writer_is_left_alone(database: str, connection: Connection) -> None:
    fill(connection, 5)
    pull(connection, 5)
    with psycopg.connect(database) as writer:
        job = one(writer, "SELECT wsup.enqueue('noop')")
        connection.execute("SELECT nextval('wsup.lane_turn')")
        connection.execute("SELECT pg_sleep(0.15)")
        connection.execute("SET statement_timeout = '1 s'")  # a lock that waits would stop pulls
        assert one(connection, "SELECT wsup.sweep(0, 100)") is False
        writer.commit()
    assert [row[1] for row in pull(connection, 5)] == [job]
    assert one(connection, "SELECT wsup.sweep(0, 100)") is True


def test_a_lane_is_not_swept_from_an_old_snapshot(database: str, connection: Connection) -> None:
    """It would not show what came in since, and TRUNCATE takes that, too."""
    with psycopg.connect(database) as sweeper:
        sweeper.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        sweeper.execute("SELECT 1")
        (job,) = fill(connection, 1)
        connection.execute("SELECT nextval('wsup.lane_turn')")
        assert one(sweeper, "SELECT wsup.sweep(0, 100)") is False
    assert places(connection, job) == ["ready"]


def test_a_lane_is_swept_while_the_horizon_is_pinned(database: str, connection: Connection) -> None:
    """What vacuum can't do: a transaction of another table holds an old snapshot."""
    fill(connection, 100)
    with psycopg.connect(database) as analyst:
        analyst.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        analyst.execute("SELECT count(*) FROM wsup.outcome")
        pull(connection, 90)
        connection.execute("SELECT nextval('wsup.lane_turn')")
        assert one(connection, "SELECT wsup.sweep(0, 100)") is True
        assert one(connection, "SELECT pg_relation_size('wsup.ready_0')") == 0
    assert len(pull(connection, 100)) == 10


def test_hot_tables_can_be_published(connection: Connection) -> None:
    """Without a replica identity, a publication FOR ALL TABLES would refuse the pull."""
    connection.execute("CREATE PUBLICATION everything FOR ALL TABLES")
    fill(connection, 2)
    assert len(pull(connection, 2)) == 2
    assert one(connection, "SELECT wsup.rescue(1, 5)") == 2


def test_operators_cancel_and_retry(database: str, connection: Connection) -> None:
    ready, running, over = fill(connection, 3)
    waiting = one(connection, "SELECT wsup.enqueue('noop', delay => interval '1 hour')")
    rows = {row[1]: row for row in pull(connection, 3)}
    settle(database, succeeded(rows[over]), failed(rows[ready]))
    asked = [ready, running, over, waiting, 999]
    told = dict(connection.execute("SELECT * FROM wsup.cancel(%s)", [asked]).fetchall())
    assert told == {
        ready: "failed", running: "cancelling", over: "succeeded", waiting: "cancelled", 999: None,
    }  # fmt: skip
    told = dict(connection.execute("SELECT * FROM wsup.retry(%s)", [asked]).fetchall())
    assert told == {
        ready: "ready", running: "running", over: "succeeded", waiting: "ready", 999: None,
    }  # fmt: skip
    assert {(row[1], row[2]) for row in pull(connection, 9)} == {(ready, 2), (waiting, 2)}
