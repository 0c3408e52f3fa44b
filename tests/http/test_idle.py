"""What a server asks of the database while there is nothing to do: hardly anything, and no more for
many agents than for one."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from counted import calls, count_statements
from running import Supervisor, sleepers, until
from served import QUEUES, agent, enough, serving

from wsup.remote.source import HttpSource
from wsup.server.core import Core
from wsup.sql.schedules import Definition, Move, Scheduled

Connection = psycopg.Connection[Any]
AGENTS = 10
APP = "shop:app"
#: In a queue of which nobody runs jobs.
NIGHTLY = Definition("nightly", "noop", "later", 0, "{}", "0 3 * * *", "UTC", None, "none")
#: After so many seconds the server looks by itself, for each of the hosts (`poll`).
LOOK_SECONDS = 5.0
#: Statements a minute, for the whole server.
MOST = 30


async def enter(url: str, number: int) -> HttpSource:
    """One that waits for jobs."""
    source = await agent(url, 0)
    await source.register(
        host="there", pid=number, version="0", queues=list(QUEUES), subworkers=8, lease=30.0,
        direct=True, cpus=2,
    )  # fmt: skip
    await source.listen()
    await source.sleep(QUEUES, 5, most=8)
    return source


async def look(source: HttpSource) -> list[Scheduled]:
    """All that one does by the clock."""
    beat = await source.beat(QUEUES, jobs_done=0, memory=1, occupancy=(0.0, 0.0, 0.0))
    assert beat.alive
    assert await source.own_claims(0, routine=True) == []
    assert await source.limits.per_host() == {}
    return await source.schedules.read(APP)


def with_agents(database: str, work: Callable[[Core, list[HttpSource]], Any]) -> None:
    async def run() -> None:
        async with serving(database) as (url, core):
            sources = [await enter(url, number) for number in range(AGENTS)]
            await sources[0].schedules.define(APP, [NIGHTLY])
            await asyncio.gather(*map(look, sources))
            await work(core, sources)
            for source in sources:
                await source.close()

    asyncio.run(run())


def test_what_all_look_at_is_asked_for_once(database: str, connection: Connection) -> None:
    count_statements(connection)

    async def work(core: Core, sources: list[HttpSource]) -> None:
        before = calls(connection)
        for _ in range(3):
            pages = await asyncio.gather(*map(look, sources))
            assert {page[0].name for page in pages} == {"nightly"}
        # The server's own signs of life may come amid it.
        assert calls(connection) - before <= 2

    with_agents(database, work)


class Roomy:
    """A host with room for two jobs of a task that is limited on each host."""

    tasks = ("nightly",)

    def rooms(self, most: int) -> list[tuple[str, int]]:
        return [("nightly", min(most, 2))]


def test_who_waits_again_with_no_more_room_than_before_asks_nothing(
    database: str, connection: Connection
) -> None:
    count_statements(connection)

    async def work(core: Core, sources: list[HttpSource]) -> None:
        async def wait_again() -> None:
            for source in sources:
                await source.want_nothing()
                await source.sleep(QUEUES, 5, most=8)
            await enough(lambda: core.turns.waiting == AGENTS and core._sleep.safe)

        for source in sources:
            source.per_host = Roomy()
        await wait_again()
        before, began = calls(connection, "%wsup.pull%"), time.monotonic()
        await wait_again()
        # The server may look by itself, once or twice, and every few seconds.
        looks = 2 + (time.monotonic() - began) / LOOK_SECONDS
        asked = calls(connection, "%wsup.pull%") - before
        print(asked, looks)
        assert asked <= looks * AGENTS

    with_agents(database, work)


def test_a_change_is_seen_by_all_all_the_same(database: str, connection: Connection) -> None:
    async def work(core: Core, sources: list[HttpSource]) -> None:
        connection.execute("UPDATE wsup.schedule SET paused = true")
        connection.execute("SELECT pg_notify('wsup', 'schedules')")

        async def paused(source: HttpSource) -> None:
            async with asyncio.timeout(20):
                while not (await source.schedules.read(APP))[0].paused:
                    await asyncio.sleep(0.01)

        await asyncio.gather(*map(paused, sources))

    with_agents(database, work)


def test_a_tick_that_all_come_for_is_made_once(database: str, connection: Connection) -> None:
    count_statements(connection)

    async def work(core: Core, sources: list[HttpSource]) -> None:
        for ticks in range(1, 4):
            pages = [await source.schedules.read(APP) for source in sources]
            before = calls(connection)
            made = await asyncio.gather(
                *(
                    source.schedules.tick(APP, [_move(page[0])])
                    for source, page in zip(sources, pages, strict=True)
                )
            )
            assert sorted(made, key=len) == [set()] * (AGENTS - 1) + [{"nightly"}]
            assert calls(connection) - before <= 4  # the tick, a read, and two of the server's own
            jobs = connection.execute("SELECT FROM wsup.job").rowcount
            assert jobs == ticks

    with_agents(database, work)


def _move(seen: Scheduled) -> Move:
    """One tick, at once."""
    return Move(seen, seen.read_at, [seen.read_at])


@pytest.mark.slow
@pytest.mark.parametrize("agents", [1, AGENTS])
def test_an_idle_server_asks_little(
    served: Any, make_agent: Callable[..., Supervisor], connection: Connection, agents: int
) -> None:
    """Over a minute, with real agents."""
    count_statements(connection)
    made = [make_agent(served, "--subworkers", "1", app="idle:app") for _ in range(agents)]
    for each in made:
        each.launch()
    for each in made:
        each.wait_for("ready:")
    until(lambda: sleepers(connection) == 1, "the server sleeps")
    time.sleep(20)  # beats slow down, claims have been compared after the start
    before = calls(connection, "%")
    time.sleep(60)
    asked = calls(connection, "%") - before
    print(f"{agents} agents: {asked} statements in a minute")
    assert asked < MOST
