"""Ageing, by the statements alone: who has waited longer comes before who is of higher priority."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from road import failed, put_off, settle, succeeded
from standing_in_turn import fill, ids, keys, make_fair, standing, state, taken

Connection = psycopg.Connection[Any]


def enqueue(
    connection: Connection, waited: float, priority: int = 0, key: str | None = None
) -> int:
    """A job that was enqueued so many seconds ago."""
    row = connection.execute(
        "INSERT INTO wsup.job (task, queue, priority, key, enqueued_at)"
        " VALUES ('noop', 'mail', %s, %s, clock_timestamp() - %s * interval '1 s') RETURNING id",
        [priority, key, waited],
    ).fetchone()
    assert row is not None
    return int(row[0])


def let_age(connection: Connection, ageing: str | None = "1 min") -> None:
    connection.execute("SELECT wsup.set_queue('mail', ageing => %s::interval)", [ageing])


def test_each_time_that_long_counts_for_one_priority(connection: Connection) -> None:
    let_age(connection)
    high = enqueue(connection, 0, priority=3)
    old = enqueue(connection, 200)
    younger = enqueue(connection, 160)
    oldest = enqueue(connection, 350, priority=-2)
    assert ids(taken(connection)) == [oldest, old, high, younger]


def test_without_it_priority_alone_counts(connection: Connection) -> None:
    old, high = enqueue(connection, 900_000), enqueue(connection, 0, priority=1)
    assert ids(taken(connection)) == [high, old]


def test_a_job_has_waited_since_it_was_to_run(connection: Connection) -> None:
    let_age(connection)
    due = datetime.now(UTC) - timedelta(seconds=30)
    (scheduled,) = fill(connection, 1, None, run_at=due)
    connection.execute(
        "UPDATE wsup.job SET enqueued_at = enqueued_at - interval '1 day' WHERE id = %s",
        [scheduled],
    )
    old, older = enqueue(connection, 10, priority=-1), enqueue(connection, 200, priority=-1)
    assert ids(taken(connection)) == [older, scheduled, old]


def test_who_comes_back_is_as_old_as_before(database: str, connection: Connection) -> None:
    let_age(connection)
    old = enqueue(connection, 400)
    (row,) = taken(connection)
    high = enqueue(connection, 0, priority=3)
    settle(database, put_off(row))
    assert standing(connection) == [old, high]
    (row,) = taken(connection, 1)
    settle(database, failed(row, 0.0))
    connection.execute("SELECT wsup.promote(10)")
    assert ids(taken(connection, 1)) == [old]
    connection.execute("SELECT wsup.rescue(1, 5)")
    assert ids(taken(connection, 1)) == [old]


def test_a_swept_lane_and_a_moved_job_keep_the_order(connection: Connection) -> None:
    let_age(connection)
    old, high = enqueue(connection, 400), enqueue(connection, 0, priority=3)
    (moved,) = fill(connection, 1, None, queue="other", priority=9)
    connection.execute("SELECT nextval('wsup.lane_turn')")
    connection.execute("SELECT wsup.sweep(0, 100)")
    connection.execute("SELECT wsup.move(%s, 'mail')", [[moved]])
    assert standing(connection) == [moved, old, high]
    connection.execute("SELECT wsup.move(%s, 'other')", [[old]])
    assert ids(taken(connection, queues=["other"])) == [old]


@pytest.mark.parametrize("door", ["cancel", "purge", "replace"])
def test_one_that_stands_by_its_age_is_found(connection: Connection, door: str) -> None:
    let_age(connection)
    row = connection.execute(
        "SELECT wsup.enqueue('noop', queue => 'mail', unique_key => 'u')"
    ).fetchone()
    assert row is not None
    assert state(connection, row[0]) == ["ready"]
    match door:
        case "cancel":
            connection.execute("SELECT wsup.cancel(%s)", [[row[0]]])
        case "purge":
            connection.execute("SELECT wsup.purge(%s, true)", [[row[0]]])
        case _:
            again = connection.execute(
                "SELECT wsup.enqueue('noop', queue => 'mail', unique_key => 'u',"
                " on_conflict => 'replace', priority => 5)"
            ).fetchone()
            assert again == row
            assert len(standing(connection)) == 1
            return
    assert standing(connection) == []


def test_it_may_begin_and_end_while_jobs_stand_there(connection: Connection) -> None:
    old, high = enqueue(connection, 400), enqueue(connection, 0, priority=3)
    let_age(connection)
    assert standing(connection) == [old, high]
    later = enqueue(connection, 1, priority=3)
    let_age(connection, "2 days")
    assert standing(connection) == [high, later, old]
    let_age(connection, "0")
    assert standing(connection) == [high, later, old]
    assert connection.execute("SELECT FROM wsup.ready WHERE real_job IS NOT NULL").rowcount == 0


def test_other_queues_stay_as_they_are(connection: Connection) -> None:
    let_age(connection)
    fill(connection, 2, None, queue="other")
    assert connection.execute("SELECT DISTINCT rank, real_job FROM wsup.ready").fetchall() == [
        (-1, None)
    ]


def test_with_turns_a_key_ages_in_its_line_and_anew_in_the_queue(
    database: str, connection: Connection
) -> None:
    """Otherwise, who has enqueued much long ago would keep the others waiting."""
    make_fair(connection, ageing="1 min")
    old = [enqueue(connection, 3600, key="a") for _ in range(3)]
    low = enqueue(connection, 1200, key="b", priority=-10)
    high = enqueue(connection, 0, key="b")
    taken(connection, 0)
    assert standing(connection)[0] == old[0]
    (row,) = taken(connection, 1)
    newcomer = enqueue(connection, 0, key="c")
    taken(connection, 0)
    assert standing(connection)[:2] in ([old[1], newcomer], [newcomer, old[1]])
    settle(database, succeeded(row))
    rows = taken(connection, 100)
    assert [job for job in ids(rows) if job in (low, high)] == [low, high]
    assert set(keys(connection, rows)) == {"a", "b", "c"}
