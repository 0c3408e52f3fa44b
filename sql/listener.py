"""The direct connection: it listens, holds the lock by which others see us alive, and takes the
first jobs after a sleep.

An idle system's next job waits for every step on its road. So the socket is watched directly: a
notification costs one callback. And the pull that follows it goes this way, too: the server's
process at the other end has just been woken, and libpq is spoken to without psycopg's cursors.
Both together take 0.4 ms off a millisecond and a half (ARCHITECTURE.md has the measurement).
"""

import asyncio
import struct
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import pq
from psycopg.sql import SQL, Identifier

from . import arrays
from .answers import Pull, Row, SourceLost, subscribed
from .backend import Backend, meet
from .session import lost, opened
from .statements import statement

_pack_int = struct.Struct(">i").pack
_unpack_bigint = struct.Struct(">q").unpack
_unpack_smallint = struct.Struct(">h").unpack


#: The channel of those who are served, and of who serves them.
SERVED = "wsup_served"


class Listener:
    """Calls `on_notify` with the payload of every notification, `on_lost` once, with the reason,
    when the connection is gone. Without a DSN it never connects."""

    def __init__(
        self,
        dsn: str | None,
        on_notify: Callable[[str], None],
        on_lost: Callable[[str], None],
        *,
        channels: Sequence[str] = (),
        statement_seconds: float = 30.0,
    ) -> None:
        self._dsn = dsn
        self._channels = channels
        self._on_notify = on_notify
        self._on_lost = on_lost
        self._seconds = statement_seconds
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._backend: Backend | None = None
        self._fd = -1
        self._supervisor = 0
        #: Set while a pull is under way: what it has brought so far, and who waits for it.
        self._results: list[pq.abc.PGresult] = []
        self._asker: asyncio.Future[None] | None = None

    @property
    def direct(self) -> bool:
        """Is there to be a direct connection at all?"""
        return self._dsn is not None

    @property
    def connected(self) -> bool:
        return self._connection is not None

    @property
    def can_pull(self) -> bool:
        backend = self._backend if self._connection is not None else None
        return backend is not None and backend.read_committed and self._asker is None

    async def connect(self, supervisor: int) -> None:
        """(Re)connect, take the supervisor's lock, listen. Raises DatabaseError, SourceLost."""
        await self.close()
        if self._dsn is None:
            return
        self._supervisor = supervisor
        connection = await opened(self._dsn, "wsup listener", self._seconds, self._prepare)
        self._connection = connection
        self._fd = connection.fileno()
        asyncio.get_running_loop().add_reader(self._fd, self._receive)

    async def _prepare(self, connection: psycopg.AsyncConnection[Any]) -> None:
        await connection.set_autocommit(True)
        self._backend = await meet(connection, self._backend)
        await connection.execute(statement("hold"), [self._supervisor])
        await connection.execute(statement("prepare_pull"))
        for channel in ("wsup", f"wsup_{self._supervisor}", *self._channels):
            await connection.execute(SQL("LISTEN {}").format(Identifier(channel)))

    async def close(self) -> None:
        """Idempotent."""
        connection = self._part()
        if connection is not None:
            await connection.close()

    async def pull(self, pull: Pull, supervisor: int) -> list[Row]:
        """Pull for a supervisor, as one statement by itself; only if `can_pull`.

        Raises SourceLost; whether anything was pulled is then unknown.
        """
        connection = self._connection
        if connection is None:
            raise SourceLost("the listener is not connected")
        asker = self._asker = asyncio.get_running_loop().create_future()
        self._results = []
        try:
            connection.pgconn.send_query_prepared(
                b"pull",
                [
                    _pack_int(supervisor),
                    arrays.texts(subscribed(pull.queues)),
                    _pack_int(pull.most),
                    b"\1" if pull.wake else b"\0",
                ],
                param_formats=[pq.Format.BINARY] * 4,
                result_format=pq.Format.BINARY,
            )
            async with asyncio.timeout(self._seconds):
                while connection.pgconn.flush():
                    await self._writable()
                await asker
        except (psycopg.Error, TimeoutError, SourceLost) as error:
            self._asker = None
            reason = self._reason(error)
            self._lose(str(reason))
            raise reason from error
        finally:
            self._asker = None
        return [_row(result, i) for result in self._results for i in range(result.ntuples)]

    def _reason(self, error: psycopg.Error | TimeoutError | SourceLost) -> SourceLost:
        if isinstance(error, TimeoutError):
            return SourceLost(f"no answer within {self._seconds:g} s")
        return lost(error) if isinstance(error, psycopg.Error) else error

    async def _writable(self) -> None:
        """Wait until the socket takes more."""
        loop = asyncio.get_running_loop()
        taken = asyncio.Event()
        loop.add_writer(self._fd, taken.set)
        try:
            await taken.wait()
        finally:
            loop.remove_writer(self._fd)

    def _receive(self) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            connection.pgconn.consume_input()
            self._collect(connection.pgconn)
        except psycopg.OperationalError as error:
            self._lose(f"the listener: {lost(error)}")
            return
        while notification := connection.pgconn.notifies():
            self._on_notify(notification.extra.decode())

    def _collect(self, pgconn: pq.abc.PGconn) -> None:
        """Take in what has come of the answer; it is complete when the server has committed."""
        asker = self._asker
        if asker is None or asker.done():
            return
        while not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:
                asker.set_result(None)
                return
            if result.status != pq.ExecStatus.TUPLES_OK:
                asker.set_exception(SourceLost(result.get_error_message().splitlines()[0]))
                return
            self._results.append(result)

    def _lose(self, reason: str) -> None:
        """The connection is of no use any more."""
        connection = self._part()
        if connection is not None:
            connection.pgconn.finish()
            self._on_lost(reason)

    def _part(self) -> psycopg.AsyncConnection[Any] | None:
        connection, self._connection = self._connection, None
        if connection is not None:
            asyncio.get_running_loop().remove_reader(self._fd)
            if self._asker is not None and not self._asker.done():
                self._asker.set_exception(SourceLost("the listener's connection is lost"))
        return connection


def _row(result: pq.abc.PGresult, i: int) -> Row:
    # The function never leaves any of them NULL, except for the options.
    claim, job, attempt, task, queue, args = (result.get_value(i, c) or b"" for c in range(6))
    options = result.get_value(i, 6)
    return (
        _unpack_bigint(claim)[0],
        _unpack_bigint(job)[0],
        _unpack_smallint(attempt)[0],
        task.decode(),
        queue.decode(),
        args.decode(),
        None if options is None else options.decode(),
    )
