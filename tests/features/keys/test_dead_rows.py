"""While somebody holds an old snapshot, vacuum removes no dead row: what a look at a key costs
then, and what may come between while the lanes of lines and turns are cleared."""

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from pinned import enqueue, pinned, running
from road import places, pull, succeeded, with_source
from running import until

from wsup.sql.answers import Pull, subscribed
from wsup.sql.lanes import LANES, Lane
from wsup.sql.source import PostgresSource

Connection = psycopg.Connection[Any]
ALL = subscribed(["default"])
LINES = ("blocked", "key_holder")
#: What else is read by a look at a key: marks.
ALL_OF_THEM = ("ready", *LINES)


def clear(connection: Connection, *full: int) -> int:
    """Have writers move on, and every other lane cleared; returns how many were."""
    query = "SELECT wsup.next_lane(wsup.current_lane()::integer || %s::integer[])"
    connection.execute(query, [list(full)])
    return sum(sweep(connection, table, n) for table in ALL_OF_THEM for n in range(LANES))


def sweep(connection: Connection, table: str, lane: int) -> bool:
    row = connection.execute("SELECT wsup.sweep(%s, 100, %s)", [lane, table]).fetchone()
    assert row is not None
    return bool(row[0])


def end_turn(connection: Connection) -> int:
    """End the one job that has a turn, whose successor has one by that; returns it."""
    (job,) = running(connection)
    connection.execute("SELECT wsup.end_turns(ARRAY[%s::bigint])", [job])
    connection.execute("DELETE FROM wsup.ready WHERE job = %s", [job])
    return job


def pages(connection: Connection, job: int) -> int:
    """Pages that the end of a job's turn touches, and another job that joins; all is undone."""
    sizes = []
    with connection.transaction(force_rollback=True):
        for call in (f"wsup.end_turns('{{{job}}}')", "wsup.enqueue('noop', key => 'a')",
                     "count(*) FROM wsup.pull(1, '{default,\x01}', 10)"):  # fmt: skip
            query = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT " + call
            row = connection.execute(query.encode()).fetchone()
            assert row is not None
            plan = row[0][0]["Plan"]
            sizes.append(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
    return sum(sizes)


def hand_over(connection: Connection, times: int) -> None:
    """One of the key ends, and one joins, again and again. Rows of many other keys lie between."""
    for _ in range(times):
        end_turn(connection)
        enqueue(connection, 1)
        pull(connection, 0, ALL)
        with connection.transaction(force_rollback=True):
            connection.execute(
                "INSERT INTO wsup.blocked (job, rank, attempt, key_limit, lane, key, queue)"
                " SELECT n, 0, 1, 1, wsup.current_lane(), 'b', 'q' FROM generate_series(1, 100) n"
            )


@pytest.fixture
def line(connection: Connection) -> Connection:
    """A job of key a has its turn, and three are in line; plans were made for empty tables."""
    for _ in range(6):
        pull(connection, 10, ALL)
    enqueue(connection, 4)
    pull(connection, 10, ALL)
    hand_over(connection, 2)
    pages(connection, running(connection)[0])
    return connection


def test_a_turn_is_handed_on_for_the_same_however_many_have_been(
    line: Connection, database: str
) -> None:
    before = pages(line, running(line)[0])
    with pinned(database):
        for _ in range(4):
            hand_over(line, 50)
            assert clear(line) == len(ALL_OF_THEM) * (LANES - 1)
        hand_over(line, 2)  # plans are made anew
        assert pages(line, running(line)[0]) <= before + 20
        hand_over(line, 200)
        grown = pages(line, running(line)[0])
        assert grown > before + 70, "this is what it would be otherwise"


def test_an_idle_writer_of_a_keyed_job_keeps_but_his_lane(line: Connection, database: str) -> None:
    with psycopg.connect(database) as writer:
        writer.execute("SELECT wsup.enqueue('noop', key => 'a')")
        line.execute("SELECT pg_sleep(0.15)")  # by then he counts as idle
        line.execute("SET statement_timeout = '1 s'")  # nobody waits for him
        assert clear(line) == len(ALL_OF_THEM) * (LANES - 1) - 2
        assert not sweep(line, "blocked", 0)
        hand_over(line, 2)  # plans are made anew
        before = pages(line, running(line)[0])
        for _ in range(4):
            hand_over(line, 50)
            clear(line, 0)
        hand_over(line, 2)
        assert pages(line, running(line)[0]) <= before + 20
        writer.commit()
    pull(line, 10, ALL)
    for _ in range(len(line.execute("SELECT FROM wsup.blocked").fetchall())):
        end_turn(line)
    assert line.execute("SELECT FROM wsup.blocked").fetchall() == []


def test_who_has_locked_all_lanes_as_a_backup_does_stops_nobody(
    line: Connection, database: str
) -> None:
    with pinned(
        database, "LOCK TABLE wsup.ready, wsup.blocked, wsup.key_holder IN ACCESS SHARE MODE"
    ):
        line.execute("SELECT pg_sleep(0.15)")
        line.execute("SET statement_timeout = '1 s'")
        assert clear(line) == 0
        hand_over(line, 3)
    assert clear(line) > 0


def test_writers_pass_over_lanes_that_stay_full(connection: Connection) -> None:
    def current(full: list[int]) -> int:
        connection.execute("SELECT wsup.next_lane(%s)", [full])
        row = connection.execute("SELECT wsup.current_lane()").fetchone()
        assert row is not None
        return int(row[0])

    assert current([1, 2]) == 0
    assert current([0, 1]) == 2
    assert current([0, 1]) == 2
    assert current([0, 1, 2, 3]) == 2
    assert current([0, 1, 2]) == 3


def test_who_dies_while_he_clears_a_lane_has_moved_nobody(line: Connection, database: str) -> None:
    line.execute("SELECT nextval('wsup.lane_turn')")
    with psycopg.connect(database) as sweeper:
        for table in LINES:
            assert sweep(sweeper, table, 0)
        line.execute("SELECT pg_terminate_backend(%s)", [sweeper.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            sweeper.execute("SELECT")
    assert len(running(line)) == 1
    first = line.execute("SELECT job FROM wsup.blocked ORDER BY job").fetchall()
    assert len(first) == 3
    for (job,) in first:
        end_turn(line)
        assert running(line) == [job]


def test_a_job_put_into_a_lane_that_was_closed_is_not_overlooked(
    line: Connection, database: str
) -> None:
    """Who had read which lane is the current one may write to it when it is long empty."""
    with psycopg.connect(database) as writer:
        (late,) = enqueue(writer, 1, priority=1)
        line.execute("SELECT nextval('wsup.lane_turn')")
        line.execute("SELECT nextval('wsup.lane_turn')")
        hand_over(line, 1)
        writer.commit()
    pull(line, 10, ALL)
    end_turn(line)
    assert running(line) == [late]


def test_a_turn_handed_on_amid_a_look_is_seen(line: Connection, database: str) -> None:
    """While a host looks at a key, another one hands its turn on: to a lane that was an empty file
    when the look began. The turn that has ended, or the one that was given, must count."""
    text = line.execute("SELECT pg_get_functiondef('wsup.lanes_of_lines'::regproc)").fetchone()
    assert text is not None
    line.execute(
        text[0].replace("END\n", """IF current_setting('application_name') = 'looker' THEN
            PERFORM pg_advisory_xact_lock(1); END IF; END\n""")
    )  # fmt: skip
    (first,) = running(line)
    looker = psycopg.connect(database, application_name="looker", autocommit=True)
    with looker, ThreadPoolExecutor(1) as thread:
        line.execute("SELECT pg_advisory_lock(1)")
        look = thread.submit(looker.execute, "SELECT wsup.let_in('{a}', NULL)")
        waits = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        until(lambda: line.execute(waits).rowcount, "it has asked for the lanes")
        line.execute("SELECT nextval('wsup.lane_turn')")
        end_turn(line)
        line.execute("SELECT pg_advisory_unlock(1)")
        look.result()
    (second,) = running(line)
    assert second != first


def test_many_turns_of_supervisors_while_lanes_are_cleared(
    connection: Connection, database: str
) -> None:
    """All jobs run once, in the order of their lines."""
    chance = random.Random(7)
    wanted: dict[str, list[tuple[int, int]]] = {}
    ran: dict[str, list[int]] = {}
    for number in range(60):
        key = f"key {number % 7}"
        priority = chance.randrange(3)
        (job,) = enqueue(connection, 1, key, priority)
        wanted.setdefault(key, []).append((-priority, job))
        if chance.random() < 0.2:
            connection.execute("SELECT nextval('wsup.lane_turn')")
    pull(connection, 0, ALL)
    keys = {job: key for key, jobs in wanted.items() for _, job in jobs}

    async def work(source: PostgresSource) -> None:
        rows = (await source.turn([], Pull(["default"], 5))).rows
        while rows:
            for row in rows:
                ran.setdefault(keys[row[1]], []).append(row[1])
            if chance.random() < 0.5:
                await source.lanes.next_lane([chance.randrange(LANES) for _ in range(2)])
            for table in ALL_OF_THEM:
                await source.lanes.sweep(Lane(table, chance.randrange(LANES)), 100)
            rows = (await source.turn([succeeded(row) for row in rows], Pull(["default"], 5))).rows

    with_source(database, work)
    assert ran == {key: [job for _, job in sorted(jobs)] for key, jobs in wanted.items()}
    assert places(connection, min(keys)) == ["succeeded"]
