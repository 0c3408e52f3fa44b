"""The few connections that a program keeps for enqueueing and for looking at jobs."""

import asyncio
import os
import select
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Generic, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from . import steps
from .connect import aconnect, connect, explain
from .steps import Ask, Request, Rows

#: Connections in use at the same time, by threads, and again by each event loop. Commits that are
#: under way together share a flush; more of them only queue up in the server.
CONNECTIONS: Final = 4

C = TypeVar("C", psycopg.Connection[Any], psycopg.AsyncConnection[Any])


class _Idle(Generic[C]):
    """The connections of one kind that nobody uses now. The latest is taken first."""

    def __init__(self) -> None:
        self._connections: list[C] = []
        self._era = 0

    def take(self) -> tuple[C | None, int]:
        """A connection that is alive, if there is one, and the era to give it back in."""
        while True:
            try:
                connection = self._connections.pop()
            except IndexError:
                return None, self._era
            # An idle connection has nothing to read but the server's goodbye. To ask again on
            # another connection is safe only now, as long as nothing was sent.
            if not _readable(connection.pgconn.socket):
                return connection, self._era
            connection.pgconn.finish()

    def give(self, connection: C, era: int) -> None:
        """Take a connection back. One that was broken, or left amid something, is closed."""
        idle = connection.pgconn.transaction_status == TransactionStatus.IDLE
        if idle and era == self._era:
            self._connections.append(connection)
        else:
            connection.pgconn.finish()

    def close(self) -> None:
        self._era += 1
        while self._connections:
            self._connections.pop().pgconn.finish()

    def disown(self) -> list[C]:
        """Forget all of them, without a word to the server."""
        self._era += 1
        kept, self._connections = self._connections, []
        return kept


class Pool:
    """Connections for threads and for event loops, opened when they are needed.

    Safe to use from any thread, and after a fork, in the child as in the parent.
    """

    def __init__(self, dsn: Callable[[], str]) -> None:
        self._dsn = dsn
        self._start()
        _pools.add(self)

    def _start(self) -> None:
        self._idle: _Idle[psycopg.Connection[Any]] = _Idle()
        self._turns = threading.BoundedSemaphore(CONNECTIONS)
        self._loops: dict[
            asyncio.AbstractEventLoop,
            tuple[_Idle[psycopg.AsyncConnection[Any]], asyncio.Semaphore],
        ] = {}
        self._finalizer = weakref.finalize(self, _close, self._idle, self._loops)

    def perform(self, step: Request) -> Rows:
        """Perform one step in a transaction of its own.

        Raises DatabaseError; ConnectionLost, if the step may or may not have been done.
        """
        try:
            return self._attempt(step)
        except psycopg.OperationalError as error:
            if not step.repeatable:
                raise explain(error, lost=True) from error
        return self._attempt(step)

    async def aperform(self, step: Request) -> Rows:
        """`perform`, without blocking the event loop."""
        async with self._aconnection() as connection:
            return await steps.aperform(connection, step)

    def close(self) -> None:
        """Close the connections, those in use as soon as they are given back."""
        _close(self._idle, self._loops)
