"""The few connections that a program keeps for enqueueing jobs and looking at them."""

import asyncio
import os
import select
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Generic, TypeAlias, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGconn

from . import steps
from .connect import aconnect, connect, explain
from .steps import Ask, Request, Rows

#: Connections in use at the same time, by threads, and again by each event loop. Commits that are
#: under way together share a flush; more than a few of them only queue up in the server.
CONNECTIONS: Final = 4

C = TypeVar("C", psycopg.Connection[Any], psycopg.AsyncConnection[Any])
S = TypeVar("S", threading.BoundedSemaphore, asyncio.BoundedSemaphore)


class Shelf(Generic[C, S]):
    """Connections that nobody uses at the moment. The one used last is taken first."""

    def __init__(self, turns: S) -> None:
        #: Acquired by who wants a connection, so that there are at most CONNECTIONS.
        self.turns: S = turns
        #: Grows when the shelf is cleared: a connection taken before that is not put back.
        self.era = 0
        self._idle: list[C] = []

    def take(self) -> C | None:
        """A connection that is alive, if there is one."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            # Nothing was sent yet, so this is the moment in which another connection will do.
            if _silent(connection.pgconn):
                return connection
            connection.pgconn.finish()
        return None

    def put(self, connection: C, era: int) -> None:
        """Take a connection back. One that broke, or was left amid something, is closed."""
        if era == self.era and connection.pgconn.transaction_status == TransactionStatus.IDLE:
            self._idle.append(connection)
        else:
            connection.pgconn.finish()

    def clear(self) -> None:
        self.era += 1
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.pgconn.finish()


ThreadShelf: TypeAlias = Shelf[psycopg.Connection[Any], threading.BoundedSemaphore]
LoopShelf: TypeAlias = Shelf[psycopg.AsyncConnection[Any], asyncio.BoundedSemaphore]
Loops: TypeAlias = dict[asyncio.AbstractEventLoop, LoopShelf]


class Pool:
    """Connections for threads and for event loops, opened when they are needed.

    Safe to use from any thread, and after a fork by the child as by the parent. `dsn` is asked
    at the first use.
    """

    def __init__(self, dsn: Callable[[], str]) -> None:
        self._find_dsn = dsn
        self._dsn: str | None = None
        self._start()
        _pools.add(self)

    def _start(self) -> None:
        self._threads: ThreadShelf = Shelf(threading.BoundedSemaphore(CONNECTIONS))
        self._loops: Loops = {}
        self._at_exit = weakref.finalize(self, _clear, self._threads, self._loops)

    def perform(self, step: Request) -> Rows:
        """Perform one step, committed when this returns.

        Raises DatabaseError; ConnectionLost, if the step may have been done nevertheless.
        """
        again = step.repeatable
        while True:
            with self.connection() as connection:
                try:
                    return steps.perform(connection, step)
                except psycopg.Error as error:
                    if not (again and connection.closed):
                        raise explain(error, lost=connection.closed) from error
            again = False

    async def aperform(self, step: Request) -> Rows:
        """`perform`, without blocking the event loop."""
        again = step.repeatable
        while True:
            async with self.aconnection() as connection:
                try:
                    return await steps.aperform(connection, step)
                except psycopg.Error as error:
                    if not (again and connection.closed):
                        raise explain(error, lost=connection.closed) from error
            again = False

    def close(self) -> None:
        """Close the connections, those in use as soon as that use has ended.

        The pool opens new ones if it is used again.
        """
        self._dsn = None
        _clear(self._threads, self._loops)

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection in autocommit, for as long as the block takes. Raises DatabaseError."""
        shelf = self._threads
        with shelf.turns:
            era = shelf.era
            connection = shelf.take() or self._open()
            try:
                yield connection
            finally:
                shelf.put(connection, era)

    @asynccontextmanager
    async def aconnection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """`connection` for asyncio."""
        shelf = self._loop_shelf()
        async with shelf.turns:
            era = shelf.era
            connection = shelf.take() or await self._aopen()
            try:
                yield connection
            finally:
                shelf.put(connection, era)

    def _open(self) -> psycopg.Connection[Any]:
        connection = connect(self._resolved())
        try:
            mind_pooler(connection, steps.perform(connection, Ask("backend_pid")))
        except BaseException as error:
            connection.close()
            if isinstance(error, psycopg.Error):
                raise explain(error) from error
            raise
        return connection

    async def _aopen(self) -> psycopg.AsyncConnection[Any]:
        connection = await aconnect(self._resolved())
        try:
            mind_pooler(connection, await steps.aperform(connection, Ask("backend_pid")))
        except BaseException as error:  # who waits for it may be cancelled
            await connection.close()
            if isinstance(error, psycopg.Error):
                raise explain(error) from error
            raise
        return connection

    def _loop_shelf(self) -> LoopShelf:
        """The connections of the running event loop: they can't be used from another one."""
        loop = asyncio.get_running_loop()
        shelf = self._loops.get(loop)
        if shelf is None:
            for other in list(self._loops):
                if other.is_closed():
                    self._loops.pop(other).clear()
            shelf = self._loops[loop] = Shelf(asyncio.BoundedSemaphore(CONNECTIONS))
        return shelf

    def _resolved(self) -> str:
        if self._dsn is None:
            self._dsn = self._find_dsn()
        return self._dsn

    def start_anew(self) -> None:
        """In the child, after a fork: leave the parent's connections to the parent."""
        self._at_exit.detach()
        _inherited.append((self._threads, self._loops))
        self._start()


def mind_pooler(
    connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], rows: Rows
) -> None:
    """Don't prepare statements behind a pooler such as PgBouncer.

    The next transaction may run on another server connection, which doesn't know them, or knows
    another program's by the same name. A pooler gives its clients process ids of its own making.
    """
    if rows[0][0] != connection.info.backend_pid:
        connection.prepare_threshold = None


def _silent(pgconn: PGconn) -> bool:
    """Whether an idle connection has nothing to say: all it could say is that it is closed."""
    poll = select.poll()
    try:
        poll.register(pgconn.socket, select.POLLIN)
    except psycopg.OperationalError:
        return False
    return not poll.poll(0)


def _clear(threads: ThreadShelf, loops: Loops) -> None:
    threads.clear()
    for shelf in list(loops.values()):
        shelf.clear()


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()
#: Connections of a parent process, kept for ever: to close one would close the parent's.
_inherited: list[tuple[ThreadShelf, Loops]] = []


def _after_fork() -> None:
    for pool in _pools:
        pool.start_anew()


os.register_at_fork(after_in_child=_after_fork)
