"""One connection of a supervisor's: one statement or turn at a time, each within a time limit."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from . import arrays
from .answers import SourceLost, Unfit
from .backend import Backend, hang_up, is_pooled, meet, time_limit
from .connect import aconnect
from .statements import statement

Parameters = Sequence[object] | dict[str, object]

#: SQLSTATE classes of an error in what was asked, not in the connection or the moment: data,
#: constraints, limits, what a function of wsup's own objects to.
_UNFIT = ("22", "23", "54", "P0")


class Session:
    def __init__(self, dsn: str, *, statement_seconds: float = 30.0) -> None:
        self._dsn = dsn
        self._seconds = statement_seconds
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._backend: Backend | None = None
        self._pooled = False
        #: Why there is no connection, if there is none.
        self.loss = "not connected"
        #: Held by the statement or turn that is under way.
        self._lock = asyncio.Lock()

    @property
    def connected(self) -> bool:
        return self._connection is not None and not self._connection.closed

    @property
    def read_committed(self) -> bool:
        """Whether a statement by itself runs in the isolation level that turns need."""
        return self._backend is not None and self._backend.read_committed

    async def connect(self) -> None:
        """(Re)connect; what is under way is lost. Raises DatabaseError, SourceLost."""
        await self.close()
        async with self._lock:
            self._connection = await opened(
                self._dsn, "wsup supervisor", self._seconds, self._prepare
            )

    async def _prepare(self, connection: psycopg.AsyncConnection[Any]) -> None:
        # Turns bring their own BEGIN, so that psycopg has no transaction to think about.
        await connection.set_autocommit(True)
        connection.prepare_threshold = None
        arrays.register(connection)
        # Behind a pooler the old process may serve somebody else by now.
        backend = await meet(connection, None if self._pooled else self._backend)
        self._pooled = is_pooled(connection, backend.pid)
        if not self._pooled:
            connection.prepare_threshold = 0
        self._backend = backend

    async def close(self) -> None:
        """End it, and the statement under way, if any. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        # A statement under way waits for the descriptor. Were that closed now, the next connection
        # would get its number, and the end of the old wait would end the new one's. So the wait is
        # ended first, by the socket's end.
        hang_up(connection)
        async with self._lock:
            await connection.close()

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """The connection, for one statement or turn. Raises SourceLost, psycopg.Error."""
        async with self._lock:
            connection = self._connection
            if connection is None or connection.closed:
                raise SourceLost(self.loss)
            try:
                with time_limit(connection, self._seconds):
                    try:
                        yield connection
                    except psycopg.Error:
                        if not connection.closed:
                            await connection.rollback()
                        raise
            except (psycopg.Error, SourceLost) as error:
                if connection.closed:
                    self.loss = one_line(error)
                raise

    async def row(self, name: str, parameters: Parameters) -> Any:
        """Run one statement by itself; returns its first row. Raises SourceLost."""
        rows = await self.rows(name, parameters, tuple)
        return rows[0] if rows else None

    async def rows(
        self, name: str, parameters: Parameters, make: Callable[[tuple[Any, ...]], Any]
    ) -> list[Any]:
        """Run one statement by itself; returns what `make` makes of each row. Raises SourceLost."""
        try:
            async with self.statement() as connection:
                cursor = connection.cursor(row_factory=tuple_row)
                if self.read_committed:
                    await cursor.execute(statement(name), parameters)
                else:
                    async with connection.pipeline():
                        await connection.execute(statement("begin"))
                        await cursor.execute(statement(name), parameters)
                        await connection.execute(statement("commit"))
                return [make(row) for row in await cursor.fetchall()] if cursor.description else []
        except psycopg.Error as error:
            raise lost(error) from error


async def opened(
    dsn: str,
    application_name: str,
    seconds: float,
    prepare: Callable[[psycopg.AsyncConnection[Any]], Awaitable[None]],
) -> psycopg.AsyncConnection[Any]:
    """A connection that `prepare` has made ready, within so many seconds.

    Raises DatabaseError, SourceLost; none is left open then.
    """
    connection = await aconnect(dsn, application_name=application_name)
    try:
        with time_limit(connection, seconds):
            await prepare(connection)
    except BaseException as error:
        await connection.close()
        if isinstance(error, psycopg.Error):
            raise lost(error) from error
        raise
    return connection


def lost(error: psycopg.Error) -> SourceLost:
    """An error of the connection's, of the moment, or of what was asked, in one line."""
    # What psycopg can't send has no SQLSTATE.
    is_unfit = isinstance(error, psycopg.DataError) or (error.sqlstate or "").startswith(_UNFIT)
    return (Unfit if is_unfit else SourceLost)(one_line(error))


def one_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
