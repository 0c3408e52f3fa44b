"""An app's own connections: when they break, are inherited, or lead through a pooler."""

import asyncio
import gc
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from relay import Relay

from wsup import App, ConnectionLost, DatabaseError, Job, Task
from wsup.sql.pool import CONNECTIONS

Connection = psycopg.Connection[Any]
Noop = Task[[], None]


def make_noop(database: str) -> tuple[App, Noop]:
    app = App(database)

    @app.task(name="noop")
    def noop() -> None: ...

    return app, noop


@pytest.fixture
def noop(database: str) -> Iterator[Noop]:
    app, task = make_noop(make_conninfo(database, application_name="client"))
    yield task
    app.close()


def count(connection: Connection) -> int:
    row = connection.execute("SELECT count(*) FROM wsup.job").fetchone()
    assert row is not None
    return int(row[0])


def backends(connection: Connection) -> list[int]:
    rows = connection.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'client' ORDER BY pid"
    )
    return [row[0] for row in rows]


# kept connections -----------------------------------------------------------------------------


def test_one_connection_is_enough_for_one_thread(noop: Noop, connection: Connection) -> None:
    noop.enqueue()
    before = backends(connection)
    for _ in range(10):
        noop.enqueue().status()
    assert backends(connection) == before
    assert len(before) == 1


def test_a_connection_that_died_unused_is_replaced(noop: Noop, connection: Connection) -> None:
    noop.enqueue()
    connection.execute("SELECT pg_terminate_backend(%s, 5000)", backends(connection))
    noop.enqueue()
    assert count(connection) == 2


def test_an_async_connection_that_died_unused_is_replaced(
    noop: Noop, connection: Connection
) -> None:
    async def enqueue() -> None:
        await noop.aenqueue()
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", backends(connection))
        await noop.aenqueue()

    asyncio.run(enqueue())
    assert count(connection) == 2


def test_threads_share_a_few_connections(noop: Noop, connection: Connection) -> None:
    threads = [
        threading.Thread(target=lambda: [noop.enqueue() for _ in range(5)])
        for _ in range(3 * CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(connection) == 15 * CONNECTIONS
    assert len(backends(connection)) <= CONNECTIONS


def test_every_event_loop_has_its_own(noop: Noop, connection: Connection) -> None:
    async def enqueue() -> None:
        await asyncio.gather(*[noop.aenqueue() for _ in range(3 * CONNECTIONS)])
        assert len(backends(connection)) <= 2 * CONNECTIONS

    for _ in range(3):
        asyncio.run(enqueue())
    assert count(connection) == 9 * CONNECTIONS


def test_a_cancelled_wait_leaves_a_usable_app(noop: Noop, connection: Connection) -> None:
    async def enqueue() -> None:
        with psycopg.connect(connection.info.dsn) as other:
            other.execute("LOCK TABLE wsup.job IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(noop.aenqueue(), 0.05)
        await noop.aenqueue()

    asyncio.run(enqueue())
    assert count(connection) == 1


def test_a_closed_app_opens_again(database: str) -> None:
    app, noop = make_noop(database)
    noop.enqueue()
    app.close()
    app.close()
    noop.enqueue()
    app.close()


# forks ----------------------------------------------------------------------------------------


def test_a_child_leaves_its_parents_connection_alone(database: str, connection: Connection) -> None:
    app, noop = make_noop(make_conninfo(database, application_name="client"))
    noop.enqueue()
    inherited = backends(connection)
    child = os.fork()
    if not child:
        status = 1
        try:
            noop.enqueue()
            app.close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    noop.enqueue()
    assert count(connection) == 3
    assert inherited[0] in backends(connection)
    app.close()


# lost replies ---------------------------------------------------------------------------------


@pytest.fixture
def relay(database: str, tmp_path: Path) -> Iterator[Relay]:
    relay = Relay(database, tmp_path)
    yield relay
    relay.close()


def enqueue_one(noop: Noop) -> None:
    noop.enqueue()


def enqueue_many(noop: Noop) -> None:
    noop.enqueue_many([()] * 50)


def enqueue_async(noop: Noop) -> None:
    asyncio.run(noop.aenqueue())


@pytest.mark.parametrize("enqueue", [enqueue_one, enqueue_many, enqueue_async])
def test_a_lost_reply_is_told_and_nothing_is_enqueued_twice(
    relay: Relay, connection: Connection, enqueue: Callable[[Noop], None]
) -> None:
    app, noop = make_noop(relay.dsn)
    enqueue(noop)
    before = count(connection)
    settled = threading.Event()

    def lose(data: bytes) -> bytes | None:
        if b"INSERT 0 " in data:
            settled.set()
            return None
        return data

    relay.change = lose
    with pytest.raises(ConnectionLost, match="what was asked may be done, or not"):
        enqueue(noop)
    assert settled.is_set()
    assert count(connection) == 2 * before
    relay.change = lambda data: data
    enqueue(noop)
    assert count(connection) == 3 * before
    app.close()


def test_a_look_is_repeated(relay: Relay) -> None:
    app, noop = make_noop(relay.dsn)
    job: Job[None] = noop.enqueue()
    losses = iter([None])
    relay.change = lambda data: next(losses, data)
    assert job.status() == "ready"
    relay.change = lambda data: None
    with pytest.raises(DatabaseError):
        job.status()
    app.close()


def test_a_wait_cancelled_while_connecting_leaves_nothing_open(relay: Relay) -> None:
    """The connection is made, but not yet known to be of use."""
    app, noop = make_noop(make_conninfo(relay.dsn, application_name="client"))
    held, released = threading.Event(), threading.Event()

    def hold(data: bytes) -> bytes:
        if b"pg_backend_pid" in data:
            held.set()
            released.wait()
        return data

    async def enqueue() -> None:
        enqueueing = asyncio.create_task(noop.aenqueue())
        await asyncio.to_thread(held.wait)
        enqueueing.cancel()
        asyncio.get_running_loop().call_soon(released.set)
        await asyncio.wait((enqueueing,))
        assert enqueueing.cancelled()

    relay.change = hold
    try:
        asyncio.run(enqueue())
    finally:
        released.set()
    gc.collect()  # an open connection that nobody holds any more is an error
    app.close()


# poolers --------------------------------------------------------------------------------------


def prepared_by(relay: Relay, change: Callable[[bytes], bytes]) -> bool:
    """Whether an app prepares statements on a server that speaks like this."""
    relay.change = change
    app, noop = make_noop(relay.dsn)
    for _ in range(10):
        noop.enqueue()
    # Asked on the very connection that the jobs went through.
    pool: Any = app._client.pool
    with pool.connection() as connection:
        row = connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
    app.close()
    return bool(row[0])


def with_another_pid(data: bytes) -> bytes:
    """As PgBouncer does, which makes up the key by which its clients cancel a query."""
    head = b"K\x00\x00\x00\x0c"
    start = data.find(head) + len(head)
    return data[:start] + b"\x00\x00\x00\x07" + data[start + 4 :] if head in data else data


def test_statements_are_prepared_but_not_behind_a_pooler(relay: Relay) -> None:
    assert prepared_by(relay, lambda data: data)
    assert not prepared_by(relay, with_another_pid)
