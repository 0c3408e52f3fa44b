"""A turn: commit and pull in one transaction and one round trip, and no more than it may carry."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from relay import Relay
from road import fill, places, pull, succeeded, with_source
from told import Told

from wsup.sql.answers import Pull
from wsup.sql.lanes import Lane
from wsup.sql.listener import Listener
from wsup.sql.source import PostgresSource

Connection = psycopg.Connection[Any]
#: What the server says at the end of each round trip: ReadyForQuery.
END_OF_A_ROUND_TRIP = b"Z\x00\x00\x00\x05"


@pytest.fixture
def relay(database: str, tmp_path: Path) -> Iterator[Relay]:
    relay = Relay(database, tmp_path)
    yield relay
    relay.close()


@asynccontextmanager
async def listening(database: str) -> AsyncIterator[PostgresSource]:
    """A source that pulls by its listener's connection when there is nothing to commit."""
    listener = Listener(database, lambda _: None, lambda *_: None)
    await listener.connect(1)
    source = PostgresSource(database, listener=listener)
    await source.connect()
    source.supervisor = 1
    try:
        yield source
    finally:
        await source.close()
        await listener.close()


def settled(connection: Connection) -> int:
    row = connection.execute("SELECT count(*) FROM wsup.outcome").fetchone()
    assert row is not None
    return int(row[0])


def test_commit_pull_and_promotion_are_one_transaction(
    database: str, connection: Connection
) -> None:
    fill(connection, 1)
    (row,) = pull(connection, 1)
    fill(connection, 1)
    connection.execute("SELECT wsup.enqueue('noop', delay => interval '1 h', queue => 'later')")
    connection.execute("UPDATE wsup.waiting SET due_at = clock_timestamp()")

    async def work(source: PostgresSource) -> int:
        return len((await source.turn([succeeded(row)], Pull(["default"], 5), promote=10)).rows)

    assert with_source(database, work) == 1
    written_by = connection.execute(
        "SELECT xmin::text FROM wsup.outcome UNION ALL SELECT xmin::text FROM wsup.claim"
        " UNION ALL SELECT xmin::text FROM wsup.ready"
    ).fetchall()
    assert len(written_by) == 3
    assert len(set(written_by)) == 1


def test_a_turn_is_one_round_trip(relay: Relay, connection: Connection) -> None:
    """Whatever the number of queues, and however much there is to commit."""
    for queue in ("a", "b", "c"):
        fill(connection, 5, queue)
    heard: list[bytes] = []

    def listen(data: bytes) -> bytes:
        heard.append(data)
        return data

    async def work(source: PostgresSource) -> int:
        asked = Pull(["a", "b", "c"], 6)
        first = await source.turn([], asked, promote=10)
        relay.change = listen
        second = await source.turn([succeeded(row) for row in first.rows], asked, promote=10)
        relay.change = lambda data: data
        return len({row[0] for row in second.rows})

    assert with_source(relay.dsn, work) == 1  # one claim: it was one pull …
    assert connection.execute("SELECT count(*) FROM wsup.claim").fetchone() == (1,)  # … and no more
    assert settled(connection) == 6
    assert b"".join(heard).count(END_OF_A_ROUND_TRIP) == 1


@pytest.mark.usefixtures("each_source")
@pytest.mark.parametrize(
    ("batch", "batch_bytes", "steps"),
    [(4, 1 << 20, [4, 8, 10]), (500, 3500, [3, 6, 9, 10]), (500, 10, list(range(1, 11)))],
)
def test_a_turn_is_bounded_by_rows_and_by_bytes(
    database: str, connection: Connection, batch: int, batch_bytes: int, steps: list[int]
) -> None:
    fill(connection, 10)
    result = b'"' + b"x" * 998 + b'"'
    entries = [succeeded(row, result) for row in pull(connection, 10)]

    async def work(source: PostgresSource) -> list[int]:
        told = Told(source, batch=batch, batch_bytes=batch_bytes)
        told.finish(entries, len(result))
        taken = []
        while told.gather.finished:
            await told.turns.take()
            taken.append(settled(connection))
        return taken

    assert with_source(database, work) == steps


def with_turns(database: str, work: Callable[[Told, PostgresSource], Awaitable[None]]) -> None:
    async def run(source: PostgresSource) -> None:
        await work(Told(source), source)

    with_source(database, run)


def test_results_of_a_lost_turn_are_kept_in_their_order(
    database: str, connection: Connection
) -> None:
    fill(connection, 4)
    entries = [succeeded(row) for row in pull(connection, 4)]

    async def work(told: Told, source: PostgresSource) -> None:
        told.finish(entries[:2])
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = 'wsup supervisor' AND datname = current_database()"
        )
        taking = asyncio.ensure_future(told.turns.take())
        await asyncio.sleep(0)
        told.finish(entries[2:])
        assert not await taking
        assert len(told.lost) == 1
        assert told.gather.finished == entries
        await source.connect()
        assert await told.turns.take()

    with_turns(database, work)
    assert settled(connection) == 4


def test_nothing_is_handed_out_unless_the_commit_has_succeeded(
    database: str, connection: Connection
) -> None:
    """The server has sent the rows already when the transaction fails at its very end."""
    fill(connection, 1)
    (row,) = pull(connection, 1)
    jobs = fill(connection, 200)
    connection.execute("""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE serialization_failure USING MESSAGE = 'not at the end';
        END $$;
        CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON wsup.claim
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()""")

    async def work(told: Told, _: PostgresSource) -> None:
        told.wanted = 200
        for entries in ([succeeded(row)], []):
            told.turns.go()  # as after a sleep: with nothing to commit, the pull goes alone
            told.gather.finished = list(entries)
            assert not await told.turns.take()
            assert told.rows == []
            assert told.gather.finished == entries

    async def work_by_the_listener(_: PostgresSource) -> None:
        async with listening(database) as source:
            await work(Told(source), source)

    with_turns(database, work)
    with_source(database, work_by_the_listener)
    assert settled(connection) == 0
    assert {place for job in jobs for place in places(connection, job)} == {"ready"}


def test_everything_is_read_committed_whatever_the_default(
    database: str, connection: Connection
) -> None:
    """Of the server, the database or the role; by each of the ways that a pull goes."""
    connection.execute("""
        DO $$ BEGIN
            EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable',
                           current_database());
        END $$;
        CREATE TABLE public.level (name text);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO public.level VALUES (current_setting('transaction_isolation'));
            RETURN NULL;
        END $$;
        CREATE TRIGGER note AFTER INSERT ON wsup.claim EXECUTE FUNCTION note();
        CREATE TRIGGER note AFTER INSERT ON wsup.outcome EXECUTE FUNCTION note()""")
    fill(connection, 3)
    one = Pull(["default"], 1)

    async def work(source: PostgresSource) -> None:
        async with listening(database) as heard:
            rows = (await source.turn([], one)).rows + (await heard.turn([], one)).rows
        await source.turn([succeeded(row) for row in rows], one)
        await source.lanes.next_lane([0])
        assert await source.lanes.sweep(Lane("ready", 0), 100), "refused in any other isolation"

    with_source(database, work)
    levels = connection.execute("SELECT name, count(*) FROM public.level GROUP BY name").fetchall()
    assert levels == [("read committed", 4)]
