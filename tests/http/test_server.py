"""What a server answers, request by request: whose jobs they are, and that none is lost."""

import asyncio
from typing import Any

import psycopg
import pytest
from road import fill, places, succeeded
from served import QUEUES, agent, enough, enter, serving, with_server

from wsup.remote import protocol
from wsup.server.agent import Agent
from wsup.sql.answers import Pull, Row, SourceLost, Turn
from wsup.sql.settlement import Back

Connection = psycopg.Connection[Any]


def test_who_waits_is_brought_new_jobs(database: str, connection: Connection) -> None:
    enter(database, 1)
    rows: list[Row] = []
    heard: list[str] = []

    async def work(url: str) -> None:
        source = await agent(url, 1, rows=rows, heard=heard)
        await source.listen()
        await source.sleep(QUEUES, 5, most=2)
        await enough(lambda: connection.execute("SELECT FROM wsup.sleeper").rowcount)
        fill(connection, 1)
        await enough(lambda: len(rows) == 1)
        assert source.said_asleep
        fill(connection, 3)
        await enough(lambda: len(rows) == 2)  # as many as it could take, and no more
        assert heard == [""]
        assert not source.said_asleep
        await source.close()

    with_server(database, work)


def test_what_a_client_has_not_taken_goes_to_another_one(
    database: str, connection: Connection
) -> None:
    enter(database, 1)
    enter(database, 2)
    rows: list[Row] = []

    async def work(url: str) -> None:
        gone = await agent(url, 1)
        await gone.listen()
        await gone.sleep(QUEUES, 5, most=5)
        await enough(lambda: connection.execute("SELECT FROM wsup.sleeper").rowcount)
        await gone.close()
        (job,) = fill(connection, 1)
        other = await agent(url, 2, rows=rows)
        await other.listen()
        await other.sleep(QUEUES, 5, most=5)
        await enough(lambda: rows)
        assert [row[1:3] for row in rows] == [(job, 1)]
        await other.close()

    with_server(database, work)


def test_who_hangs_up_when_the_jobs_are_there_already_loses_none(
    database: str, connection: Connection
) -> None:
    """At every step between the answer of the database and the writing of the reply."""
    enter(database, 1)
    jobs = fill(connection, 12)

    async def work() -> None:
        async with serving(database) as (_, core):
            for steps in range(12):
                request = protocol.TurnRequest(1, queues=["default"], most=1, ear=steps + 1)
                answering = asyncio.ensure_future(core.desk._turn(Agent("anybody"), request))
                await enough(lambda n=core.turns.pulled: core.turns.pulled > n)
                for _ in range(steps % 4):
                    await asyncio.sleep(0)
                if not answering.done():
                    answering.cancel()
                await asyncio.wait((answering,))
                if not answering.cancelled():
                    core.desk.give_back(answering.result())
                await enough(lambda: not connection.execute("SELECT FROM wsup.claim").rowcount)

    asyncio.run(work())
    assert [places(connection, job) for job in jobs] == [["ready"]] * 12


def test_a_result_that_is_sent_twice_counts_once(database: str, connection: Connection) -> None:
    enter(database, 1)
    jobs = fill(connection, 2)

    async def work(url: str) -> None:
        source = await agent(url, 1)
        rows = (await source.turn([], Pull(QUEUES, 2))).rows
        entries = [succeeded(row) for row in rows]
        assert (await source.turn(entries, None)).refused == 0
        assert (await source.turn(entries, None)).refused == 2
        await source.close()

    with_server(database, work)
    assert [places(connection, job) for job in jobs] == [["succeeded"]] * 2


def test_any_server_takes_the_results(database: str, connection: Connection) -> None:
    """What was pulled through one is finished through the other."""
    enter(database, 1)
    (job,) = fill(connection, 1)

    async def finish(row: Row) -> None:
        async with serving(database) as (url, _):
            source = await agent(url, 1)
            assert (await source.turn([succeeded(row)], None)).refused == 0
            await source.close()

    async def work(url: str) -> None:
        source = await agent(url, 1)
        (row,) = (await source.turn([], Pull(QUEUES, 2))).rows
        await finish(row)
        await source.close()

    with_server(database, work)
    assert places(connection, job) == ["succeeded"]


def test_claims_are_compared_while_nothing_is_on_its_way(
    database: str, connection: Connection
) -> None:
    enter(database, 1)
    rows: list[Row] = []

    async def work(url: str) -> None:
        source = await agent(url, 1, rows=rows)
        await source.listen()
        for number in range(1, 30):
            await source.sleep(QUEUES, 5, most=5)
            fill(connection, 1)
            held = await source.own_claims(0)
            known = {row[1] for row in rows}
            assert {one.job for one in held} <= known, "it would be given back, and run twice"
            await enough(lambda n=number: len(rows) == n)
        await source.close()

    with_server(database, work)


def test_a_request_that_is_replayed_takes_no_jobs_away(
    database: str, connection: Connection
) -> None:
    """What it has brought is in the claims: whoever compares these gives it back."""
    enter(database, 1)
    jobs = fill(connection, 4)
    request = protocol.encode(protocol.TurnRequest(1, queues=["default"], most=2))

    async def work(url: str) -> None:
        source = await agent(url, 1)
        await source._channel.ask("turn", request, 20)
        await source._channel.ask("turn", request, 20)
        held = await source.own_claims(0)
        assert sorted(one.job for one in held) == jobs
        unknown = [
            Back(one.claim, one.job, one.attempt, None) for one in held if one.job in jobs[2:]
        ]
        assert (await source.turn(unknown, None)).refused == 0
        rows = (await source.turn([], Pull(QUEUES, 4))).rows
        assert [row[1:3] for row in rows] == [(job, 1) for job in jobs[2:]]
        await source.close()

    with_server(database, work)


def test_a_waiting_turn_that_is_replayed_takes_nobody_s_place(
    database: str, connection: Connection
) -> None:
    enter(database, 1)
    rows: list[Row] = []

    async def work(url: str) -> None:
        source = await agent(url, 1, rows=rows)
        await source.listen()
        await source.sleep(QUEUES, 5, most=2)
        await enough(lambda: connection.execute("SELECT FROM wsup.sleeper").rowcount)
        old = protocol.TurnRequest(1, queues=["default"], most=2, ear=1)
        status, answer = await source._channel.ask("turn", protocol.encode(old), 20)
        assert (status, protocol.decode(answer, protocol.TurnReply).rows) == (200, [])
        fill(connection, 1)
        await enough(lambda: len(rows) == 1)
        await source.close()

    with_server(database, work)


def test_a_fault_of_the_server_s_own_does_not_end_its_turns(
    database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(database, 1)
    fill(connection, 1)

    async def work() -> None:
        async with serving(database) as (url, core):
            source = await agent(url, 1)
            turn, calls = core.source.turn, iter([ZeroDivisionError])

            async def faulty(*args: Any, **options: Any) -> Turn:
                for error in calls:
                    raise error
                return await turn(*args, **options)

            monkeypatch.setattr(core.source, "turn", faulty)
            with pytest.raises(SourceLost, match="the server has met a fault of its own"):
                await source.turn([], Pull(QUEUES, 1))
            await enough(core.is_whole)
            await source.connect()
            assert len((await source.turn([], Pull(QUEUES, 1))).rows) == 1
            assert not core.checks()["turns"]
            await source.close()

    asyncio.run(work())
