"""The pull: the right jobs, in the right order, once, at a cost that no backlog changes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from road import fill, places, pull

Connection = psycopg.Connection[Any]


def ids(rows: list[Any]) -> list[int]:
    return [row[1] for row in rows]


def test_by_priority_then_age(connection: Connection) -> None:
    low = fill(connection, 3, priority=-5)
    normal = fill(connection, 3)
    high = fill(connection, 2, priority=32767)
    lowest = fill(connection, 1, priority=-32768)
    assert ids(pull(connection, 100)) == high + normal + low + lowest


def test_queues_share_one_order(connection: Connection) -> None:
    a1 = fill(connection, 2, "a")
    b_high = fill(connection, 2, "b", priority=1)
    a2 = fill(connection, 1, "a")
    fill(connection, 2, "unsubscribed", priority=9)
    assert ids(pull(connection, 4, ["a", "b"])) == b_high + a1
    assert ids(pull(connection, 4, ["a", "b"])) == a2


def test_lanes_share_one_order(connection: Connection) -> None:
    jobs = []
    for _ in range(6):
        jobs += fill(connection, 2)
        connection.execute("SELECT nextval('wsup.lane_turn')")
    assert ids(pull(connection, 7)) == jobs[:7]
    assert ids(pull(connection, 7)) == jobs[7:]


def test_one_claim_a_pull(connection: Connection) -> None:
    jobs = fill(connection, 5)
    rows = pull(connection, 3)
    assert {row[0] for row in rows} == {rows[0][0]}
    assert connection.execute("SELECT count(*) FROM wsup.claim").fetchone() == (1,)
    assert [places(connection, job) for job in jobs] == [["claimed"]] * 3 + [["ready"]] * 2


def test_nothing_to_pull_makes_no_claim(connection: Connection) -> None:
    fill(connection, 1, "other")
    assert pull(connection, 10) == []
    assert pull(connection, 10, []) == []
    assert connection.execute("SELECT count(*) FROM wsup.claim").fetchone() == (0,)


def test_queue_names_are_only_values(connection: Connection) -> None:
    name = 'it\'s "a" queue; DROP TABLE wsup.job; --%s {}'
    jobs = fill(connection, 2, name)
    assert ids(pull(connection, 10, [name])) == jobs


def test_a_request_deleted_by_hand_is_dropped(connection: Connection) -> None:
    gone, kept = fill(connection, 2)
    connection.execute("DELETE FROM wsup.job WHERE id = %s", [gone])
    assert ids(pull(connection, 10)) == [kept]
    assert places(connection, gone) == []


def test_concurrent_pullers_get_each_job_once(database: str, connection: Connection) -> None:
    jobs = fill(connection, 2000)
    pullers = 4
    start = threading.Barrier(pullers)

    def drain(number: int) -> list[int]:
        taken: list[int] = []
        with psycopg.connect(database, autocommit=True) as mine:
            start.wait()
            # A short pull only says that others hold what is left, or that nothing is.
            while rows := pull(mine, 50, supervisor=number):
                taken += ids(rows)
        return taken

    with ThreadPoolExecutor(pullers) as threads:
        taken = [job for part in threads.map(drain, range(pullers)) for job in part]
    assert len(taken) == len(set(taken))
    taken += ids(pull(connection, 2000))
    assert sorted(taken) == jobs


def test_jobs_committed_during_a_pull_are_not_lost(database: str, connection: Connection) -> None:
    """A job that comes between two looks of a pull is taken whole, or left where it is."""
    over = threading.Event()

    def enqueue() -> int:
        with psycopg.connect(database, autocommit=True) as mine:
            for _ in range(1500):
                mine.execute("INSERT INTO wsup.job (task) VALUES ('noop')")
        over.set()
        return 1500

    taken: list[int] = []
    with ThreadPoolExecutor(1) as thread:
        enqueued = thread.submit(enqueue)
        while not over.is_set():
            taken += ids(pull(connection, 50))
        assert enqueued.result() == 1500
    while rows := pull(connection, 500):
        taken += ids(rows)
    assert len(taken) == len(set(taken)) == 1500


@pytest.fixture
def planned_when_empty(connection: Connection) -> Connection:
    """A connection whose plans were all made while every table was empty."""
    for _ in range(10):
        assert pull(connection, 500, ["a", "b", "c"]) == []
    return connection


def blocks(connection: Connection) -> int:
    """Pages that a pull of 500 from three queues touches; it is rolled back."""
    with connection.transaction(force_rollback=True):
        row = connection.execute(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM wsup.pull(1, '{a,b,c}', 500)"
        ).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    assert plan["Actual Rows"] == 500
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def backlog(connection: Connection, n: int) -> None:
    """`n` jobs ready in three queues, and a tenth as many waiting."""
    connection.execute(
        "INSERT INTO wsup.job (task, queue, priority, run_at)"
        " SELECT 'noop', chr(97 + i %% 3), i %% 7,"
        "        CASE WHEN i %% 11 = 0 THEN clock_timestamp() + interval '1 day' END"
        "   FROM generate_series(1, %s) i",
        [n],
    )


def test_the_cost_does_not_grow_with_the_backlog(planned_when_empty: Connection) -> None:
    """The plan guard: pages touched, on a plan made for empty tables, then on one that has seen
    a million rows."""
    connection = planned_when_empty
    backlog(connection, 2_000)
    small = blocks(connection)
    backlog(connection, 1_000_000)
    assert blocks(connection) <= 1.5 * small
    connection.execute("ANALYZE wsup.job, wsup.ready, wsup.waiting")
    connection.execute("DISCARD PLANS")
    assert blocks(connection) <= 1.5 * small
