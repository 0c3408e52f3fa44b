"""A server brings as much as is wanted, and as long as it is."""

import asyncio
from typing import Any

import psycopg
from road import fill, places
from served import QUEUES, agent, enough, enter, serving, with_server

from wsup.sql.answers import Pull, Row

Connection = psycopg.Connection[Any]


def test_who_wants_nothing_is_brought_nothing(database: str, connection: Connection) -> None:
    """Neither after it has said so, nor what a turn has brought in its place."""
    enter(database, 1)
    rows: list[Row] = []
    heard: list[str] = []

    async def work(url: str) -> None:
        source = await agent(url, 1, rows=rows, heard=heard)
        await source.listen()
        await source.sleep(QUEUES, 5, most=2)
        fill(connection, 2, "mail")
        assert len((await source.turn([], Pull(["mail"], 2))).rows) == 2
        await enough(lambda: heard == [""])  # all that it wanted has come: it may want more
        assert not source.said_asleep
        await source.sleep(QUEUES, 5, most=2)
        await source.want_nothing()
        (job,) = fill(connection, 1)
        assert len((await source.turn([], Pull(QUEUES, 2))).rows) == 1
        assert places(connection, job) == ["claimed"]
        assert rows == []
        await source.sleep(QUEUES, 5, most=2)
        fill(connection, 1)
        await enough(lambda: len(rows) == 1)
        await source.close()

    with_server(database, work)


def test_a_turn_lowers_what_is_still_wanted(database: str, connection: Connection) -> None:
    enter(database, 1)
    rows: list[Row] = []

    async def work(url: str) -> None:
        source = await agent(url, 1, rows=rows)
        await source.listen()
        await source.sleep(QUEUES, 5, most=3)
        fill(connection, 2, "mail")
        assert len((await source.turn([], Pull(["mail"], 3))).rows) == 2
        fill(connection, 3)
        await enough(lambda: rows)
        assert len((await source.turn([], Pull(QUEUES, 5))).rows) == 2
        assert len(rows) == 1
        await source.close()

    with_server(database, work)


def test_who_only_listens_is_told_that_the_database_was_lost(database: str) -> None:
    """What that has called out meanwhile, nobody has heard."""
    enter(database, 1)
    lost: list[str] = []

    async def work() -> None:
        async with serving(database) as (url, core):
            source = await agent(url, 1, lost=lost)
            await source.listen()
            await enough(lambda: core.ears.listening)
            core.lose("a fault")
            await enough(lambda: lost)
            await source.close()

    asyncio.run(work())
    assert lost[0].endswith("the server has lost its database: a fault")
