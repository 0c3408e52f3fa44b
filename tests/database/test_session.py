"""The supervisor's connection: what happens to a statement under way when another one is made."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import uvloop
from relay import Relay
from running import PATIENCE

from wsup.sql.answers import SourceLost
from wsup.sql.session import Session

#: Seconds that the server takes for each answer while a connection is made.
SLOW = 0.3
#: Seconds within which a connection is made all the same; one that isn't heard of takes 10.
SOON = 5.0


@pytest.fixture
def relay(database: str, tmp_path: Path) -> Iterator[Relay]:
    relay = Relay(database, tmp_path)
    yield relay
    relay.close()


def test_a_statement_under_way_does_not_disturb_the_next_connection(relay: Relay) -> None:
    """Its wait has a descriptor's number, which the next connection gets at once."""

    async def reconnect() -> tuple[float, asyncio.Task[None]]:
        session = Session(relay.dsn)
        await session.connect()
        sent = asyncio.Event()

        async def ask() -> None:
            async with session.statement() as connection:
                sent.set()
                await connection.execute("SELECT pg_sleep(60)")

        asking = asyncio.create_task(ask())
        await sent.wait()
        relay.change = _slowly
        began = time.monotonic()
        await session.connect()
        seconds = time.monotonic() - began
        await asyncio.wait((asking,), timeout=PATIENCE)
        await session.close()
        return seconds, asking

    # In a thread of its own: a wait for a closed descriptor can't even be cancelled.
    done: list[tuple[float, asyncio.Task[None]]] = []
    thread = threading.Thread(target=lambda: done.append(uvloop.run(reconnect())), daemon=True)
    thread.start()
    thread.join(2 * PATIENCE)
    assert done, "the loop hangs"
    ((seconds, asking),) = done
    assert seconds < SOON
    assert isinstance(asking.exception(), psycopg.OperationalError)


def test_why_a_connection_was_lost_is_remembered(relay: Relay) -> None:
    """Who met the loss may keep it to itself."""

    async def lose() -> None:
        session = Session(relay.dsn, statement_seconds=0.2)
        await session.connect()
        for _ in range(2):
            with pytest.raises(SourceLost, match=r"no answer within 0\.2 s"):
                async with session.statement() as connection:
                    await connection.execute("SELECT pg_sleep(60)")
        assert session.loss == "no answer within 0.2 s"
        await session.close()

    asyncio.run(lose())


def _slowly(data: bytes) -> bytes:
    time.sleep(SLOW)
    return data
