"""wsup.tick and wsup.define_schedules: the database decides who ticks, and by which definition."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from road import with_source

from wsup.sql.schedules import Definition, Move, Scheduled
from wsup.sql.source import PostgresSource

Connection = psycopg.Connection[Any]

APP = "a:app"
NIGHTLY = Definition("nightly", "report", "mail", 3, '{"a":1}', "0 3 * * *", "UTC", None, "last")
OFTEN = Definition("often", "report", "default", 0, "{}", None, "UTC", 0.5, "all")


def run(database: str, work: Callable[[Any], Awaitable[None]]) -> None:
    async def with_table(source: PostgresSource) -> None:
        await work(source.schedules)

    with_source(database, with_table)


def jobs(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT task, queue, priority, args::text, options->>'schedule' FROM wsup.job ORDER BY id"
    ).fetchall()


async def planned(table: Any) -> Scheduled:
    """The schedule, with a next tick an hour ago."""
    await table.define(APP, [NIGHTLY])
    (seen,) = await table.read(APP)
    assert seen.next_tick is None
    assert await table.tick(APP, [Move(seen, seen.read_at - timedelta(hours=1))]) == {"nightly"}
    (seen,) = await table.read(APP)
    return Scheduled(*seen)


def test_the_second_one_to_tick_does_nothing(database: str, connection: Connection) -> None:
    async def work(table: Any) -> None:
        seen = await planned(table)
        move = Move(seen, seen.read_at + timedelta(hours=1), [seen.next_tick])
        assert await table.tick(APP, [move]) == {"nightly"}
        assert await table.tick(APP, [move]) == set()

    run(database, work)
    assert jobs(connection) == [("report", "mail", 3, '{"a":1}', "nightly")]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE wsup.schedule SET paused = true",
        "UPDATE wsup.schedule SET revision = revision + 1",
        "UPDATE wsup.schedule SET next_tick = NULL",
        "DELETE FROM wsup.schedule",
    ],
)
def test_a_tick_goes_by_what_there_is(database: str, connection: Connection, change: str) -> None:
    async def work(table: Any) -> None:
        seen = await planned(table)
        connection.execute(change)
        move = Move(seen, seen.read_at + timedelta(hours=1), [seen.next_tick])
        assert await table.tick(APP, [move]) == set()

    run(database, work)
    assert jobs(connection) == []


def test_a_clock_that_is_ahead_ticks_nothing(database: str, connection: Connection) -> None:
    async def work(table: Any) -> None:
        seen = await planned(table)
        ahead = seen._replace(read_at=seen.read_at + timedelta(minutes=1))
        assert await table.tick(APP, [Move(ahead, ahead.read_at, [ahead.read_at])]) == set()

    run(database, work)
    assert jobs(connection) == []


def test_definitions_are_added_changed_and_removed(database: str, connection: Connection) -> None:
    tick = datetime(2100, 1, 1, tzinfo=UTC)

    def rows() -> dict[str, tuple[Any, ...]]:
        found = connection.execute(
            "SELECT name, revision, next_tick, paused FROM wsup.schedule WHERE app = %s", [APP]
        )
        return {row[0]: row[1:] for row in found}

    async def work(table: Any) -> None:
        await table.define("b:app", [OFTEN])
        assert sorted(await table.define(APP, [NIGHTLY, OFTEN])) == [
            ("nightly", "added"),
            ("often", "added"),
        ]
        connection.execute("UPDATE wsup.schedule SET next_tick = %s, paused = true", [tick])
        assert await table.define(APP, [NIGHTLY, OFTEN]) == []
        assert rows() == {"nightly": (1, tick, True), "often": (1, tick, True)}
        # Another argument changes no time; another time does, and so asks for a next tick.
        other = [NIGHTLY._replace(args='{"a":2}'), OFTEN._replace(every=0.7)]
        assert sorted(await table.define(APP, other)) == [
            ("nightly", "changed"),
            ("often", "changed"),
        ]
        assert rows() == {"nightly": (2, tick, True), "often": (2, None, True)}
        assert await table.define(APP, other[:1]) == [("often", "removed")]
        assert await table.define(APP, []) == [("nightly", "removed")]

    run(database, work)
    assert connection.execute("SELECT app, name FROM wsup.schedule").fetchall() == [
        ("b:app", "often")
    ]
