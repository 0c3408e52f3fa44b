"""Turns that are too large for one request, or for one answer."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import psycopg
import pytest
from road import places, succeeded
from running import Supervisor, enqueue, finished, result
from served import MOST_BYTES, QUEUES, agent, enter, with_server

from wsup.remote.source import HttpSource
from wsup.sql.answers import Pull, Row, Turn
from wsup.sql.notes import Note
from wsup.sql.settlement import Failure

Connection = psycopg.Connection[Any]
T = TypeVar("T")
#: Bytes that the server takes, and gives, in one.
MOST = 20_000


def fill(connection: Connection, n: int, size: int) -> list[int]:
    """Enqueue jobs whose args have so many bytes."""
    rows = connection.execute(
        "INSERT INTO wsup.job (task, args)"
        " SELECT 'noop', json_build_object('a', repeat('x', %s)) FROM generate_series(1, %s)"
        " RETURNING id",
        [size, n],
    )
    return [row[0] for row in rows]


def with_source(
    database: str, work: Callable[[HttpSource], Awaitable[T]], most_bytes: int = MOST
) -> T:
    """Of supervisor 1."""
    enter(database, 1)

    async def run(url: str) -> T:
        source = await agent(url, 1)
        try:
            return await work(source)
        finally:
            await source.close()

    return with_server(database, run, most_bytes=most_bytes)


def failure(connection: Connection, job: int) -> tuple[str, str]:
    row = connection.execute("SELECT type, message FROM wsup.failure WHERE job = %s", [job])
    found = row.fetchone()
    assert found is not None
    return found


@pytest.mark.parametrize("said", [MOST, 64 << 20], ids=["by the server", "by something before it"])
def test_results_go_in_as_many_requests_as_it_takes(
    database: str, connection: Connection, said: int
) -> None:
    jobs = fill(connection, 20, 1)

    async def work(source: HttpSource) -> Turn:
        source._talk.most_bytes = said
        rows = (await source.turn([], Pull(QUEUES, 12))).rows
        entries = [succeeded(row, b"9" * 6_000) for row in rows]
        return await source.turn(entries, Pull(QUEUES, 20))

    turn = with_source(database, work)
    assert (turn.refused, len(turn.rows)) == (0, 8)
    assert [places(connection, job) for job in jobs[:12]] == [["succeeded"]] * 12


def test_a_result_that_is_too_large_fails_its_job_alone(
    database: str, connection: Connection
) -> None:
    jobs = fill(connection, 3, 1)

    async def work(source: HttpSource) -> Turn:
        small, large, other = (await source.turn([], Pull(QUEUES, 3))).rows
        wordy = Failure(*other[:3], 0, "E", "m" * 30_000, "t" * 30_000, 0.1, 9.0)
        entries = [succeeded(small), succeeded(large, b"9" * 30_000), wordy]
        return await source.turn(entries, None)

    turn = with_source(database, work)
    assert turn.refused == 0
    assert [entry.job for entry in turn.culprits] == jobs[1:]
    assert [places(connection, job) for job in jobs] == [["succeeded"], ["failed"], ["waiting"]]
    assert failure(connection, jobs[1]) == (
        "ResultTooLarge",
        "the result has 30,000 bytes, and the server takes 20,000 in a request: store it elsewhere,"
        " and return where it is",
    )
    assert failure(connection, jobs[2]) == ("E", "m" * 1000)


def test_notes_that_are_too_large_are_left_out(
    database: str, connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = fill(connection, 2, 1)

    async def work(source: HttpSource) -> None:
        rows = (await source.turn([], Pull(QUEUES, 2))).rows
        notes = [Note(*row[:3], piece=row[1]) for row in rows]
        notes[0].say(0.5, "half", b"9" * 30_000)
        notes[1].say(0.5, "half", b"9")
        await source.turn([succeeded(rows[1])], None, notes=notes)

    with_source(database, work)
    assert f"job {jobs[0]}: what it has noted is left out" in caplog.text
    assert [places(connection, job) for job in jobs] == [["claimed"], ["succeeded"]]
    row = connection.execute("SELECT message FROM wsup.progress WHERE job = %s", [jobs[0]])
    assert row.fetchone() == ("half",)


def test_jobs_that_are_too_many_for_an_answer_go_to_others(
    database: str, connection: Connection
) -> None:
    """At the same attempt, and at once. One is never too many."""
    jobs = fill(connection, 8, 6_000) + fill(connection, 1, 50_000)

    async def work(source: HttpSource) -> list[list[Row]]:
        return [(await source.turn([], Pull(QUEUES, 20))).rows for _ in range(4)]

    turns = with_source(database, work)
    rows = [row for turn in turns for row in turn]
    assert [len(turn) for turn in turns] == [3, 3, 2, 1]
    assert [row[1] for row in rows] == jobs
    assert {row[2] for row in rows} == {1}


@pytest.mark.slow
def test_what_is_larger_than_a_request_on_a_real_host(
    served: Any, make_agent: Callable[..., Supervisor], connection: Connection
) -> None:
    """Both ways: args arrive all the same, a result fails its job, and those beside it are well."""
    agent = make_agent(served, "--subworkers", "2", app="heavy:app").start()
    size = MOST_BYTES + (1 << 20)
    row = connection.execute(
        "SELECT wsup.enqueue('take', jsonb_build_object('text', repeat('x', %s)))", [size]
    ).fetchone()
    assert row is not None
    gives = [enqueue(connection, "give", size=each) for each in (size, *[8 << 20] * 20)]
    assert result(connection, row[0]) == size
    assert finished(connection, *gives) == ["failed", *["succeeded"] * 20]
    assert failure(connection, gives[0])[0] == "ResultTooLarge"
    assert "lost" not in agent.log
