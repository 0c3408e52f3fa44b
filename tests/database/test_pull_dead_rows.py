"""A backlog behind many dead rows that an old snapshot keeps from being removed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from road import fill, pull

Connection = psycopg.Connection[Any]

#: How long a look at all has to take at least, in ms: twice what a pull thinks worth sparing.
LONG = 10.0
#: So many at a time, until it does.
DEAD = 100_000
#: What the session remembers of its last pull.
REMEMBERED = "SELECT coalesce(current_setting('wsup.places', true), '')"


def one(connection: Connection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


@contextmanager
def many_dead(database: str, connection: Connection, backlog: int) -> Iterator[list[int]]:
    """The jobs behind them."""
    with psycopg.connect(database) as analyst:
        analyst.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        analyst.execute("SELECT count(*) FROM wsup.outcome")
        while look_at_all(connection) < LONG:
            connection.execute(
                "INSERT INTO wsup.ready (job, rank, attempt, lane, queue)"
                " SELECT -i, -1, 1, 0, 'default' FROM generate_series(1, %s::integer) i",
                [DEAD],
            )
            connection.execute("DELETE FROM wsup.ready")
        jobs = fill(connection, backlog)
        connection.execute("SELECT nextval('wsup.lane_turn')")  # that lane is closed
        yield jobs


def look_at_all(connection: Connection) -> float:
    """The shortest of three, in ms."""
    with connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = off")
        query = """EXPLAIN (ANALYZE, TIMING off, FORMAT JSON)
                   SELECT FROM wsup.ready_0 WHERE queue = 'default' ORDER BY rank, job LIMIT 1"""
        return min(float(one(connection, query)[0]["Execution Time"]) for _ in range(3))


def pages(connection: Connection, n: int) -> int:
    """Those that a pull of `n` jobs touches."""
    query = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM wsup.pull(1, '{default}', %s)"
    row = connection.execute(query, [n]).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def until_spared(connection: Connection) -> list[int]:
    """Pull until the session knows where to look, and let that last; the jobs that were pulled."""
    pulled = []
    while "until" not in one(connection, REMEMBERED):
        pulled += [row[1] for row in pull(connection, 1)]
    look_at_all_again(connection, 1e10)
    return pulled


def look_at_all_again(connection: Connection, at: float = 0) -> None:
    """Let the session's next look at all be due at a time in seconds since the epoch."""
    connection.execute(
        "SELECT set_config('wsup.places', jsonb_set(p.known, '{until}', to_jsonb(%s))::text, false)"
        " FROM (SELECT current_setting('wsup.places')::jsonb AS known) p",
        [at],
    )


def test_they_are_waded_through_now_and_then_only(database: str, connection: Connection) -> None:
    with many_dead(database, connection, 200) as jobs:
        whole = pages(connection, 1)
        pulled = [jobs[0], *until_spared(connection)]
        assert pages(connection, 1) < whole / 10
        pulled += jobs[len(pulled) : len(pulled) + 1]
        pulled += [row[1] for row in pull(connection, 10)]
        assert pulled == jobs[: len(pulled)]
        fill(connection, 20)
        look_at_all_again(connection)
        assert len(pull(connection, 10)) == 10
        assert pages(connection, 10) < whole / 10, "with jobs in two lanes, too"


def test_what_is_more_urgent_goes_first(database: str, connection: Connection) -> None:
    with many_dead(database, connection, 200) as jobs:
        pulled = until_spared(connection)
        (urgent,) = fill(connection, 1, priority=1)
        assert [row[1] for row in pull(connection, 2)] == [urgent, jobs[len(pulled)]]


def late(connection: Connection) -> int:
    """A job before all others in its lane, by a writer who has not seen that it was closed."""
    (job,) = fill(connection, 1, priority=1)
    connection.execute("UPDATE wsup.ready SET lane = 0 WHERE job = %s", [job])
    return job


def test_what_comes_late_into_a_closed_lane_is_found_by_the_next_look_at_all(
    database: str, connection: Connection
) -> None:
    with many_dead(database, connection, 200) as jobs:
        pulled = until_spared(connection)
        job = late(connection)
        assert pull(connection, 1)[0][1] == jobs[len(pulled)]
        look_at_all_again(connection)
        assert pull(connection, 1)[0][1] == job


def test_a_pull_that_gets_too_few_makes_the_next_one_look_at_all(
    database: str, connection: Connection
) -> None:
    with many_dead(database, connection, 50) as jobs:
        pulled = until_spared(connection)
        job = late(connection)
        assert len(pull(connection, 100)) == len(jobs) - len(pulled)
        assert pull(connection, 100)[0][1] == job
        assert pull(connection, 100) == []


def test_without_a_job_where_it_looks_it_looks_at_all_at_once(
    database: str, connection: Connection
) -> None:
    with many_dead(database, connection, 50) as jobs:
        pulled = until_spared(connection)
        assert len(pull(connection, len(jobs) - len(pulled))) == len(jobs) - len(pulled)
        job = late(connection)
        assert pull(connection, 1)[0][1] == job


def test_a_queue_paused_meanwhile_is_left_alone(database: str, connection: Connection) -> None:
    with many_dead(database, connection, 50):
        until_spared(connection)
        connection.execute("INSERT INTO wsup.paused_queue (queue) VALUES ('default')")
        assert pull(connection, 1) == []


def test_once_they_are_gone_every_look_is_one_at_all(database: str, connection: Connection) -> None:
    with many_dead(database, connection, 50):
        until_spared(connection)
    connection.execute("VACUUM wsup.ready")
    look_at_all_again(connection)
    assert len(pull(connection, 1)) == 1
    assert one(connection, REMEMBERED) == ""
