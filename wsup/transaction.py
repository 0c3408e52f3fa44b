"""Transactions of a task's own, whose commit also writes how its job has ended."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from wsup.errors import ConnectionLost, JobLost, TaskError
from wsup.sql.connect import NO_SCHEMA, explain
from wsup.sql.pool import Pool
from wsup.sql.statements import statement
from wsup.subworkers.ending import Ending

#: What `wsup.finish` raises when the job is no longer held under its claim.
LOST: Final = "WS001"


class Finisher:
    """Opens such transactions, on connections of its own or on those that it is given.

    The job is ended by the last statement, which is sent together with the COMMIT: between the two
    the job's claim is locked, and that is to be a moment only, whatever becomes of this process.
    """

    def __init__(self, pool: Pool) -> None:
        #: Not the pool of the app's other connections: a task that waits for one of those may be in
        #: such a transaction.
        self.pool = pool

    @contextmanager
    def begin(self, ending: Ending, given: Any) -> Iterator[psycopg.Connection[Any]]:
        """A connection in a transaction that ends the job, unless the block raises."""
        with self._lend(given) as connection:
            _refuse_unfit(connection, psycopg.Connection)
            block = connection.transaction()
            block.__enter__()
            try:
                yield connection
                values = _values(ending)
            except BaseException as error:
                if not block.__exit__(type(error), error, error.__traceback__):
                    raise
                return  # it was psycopg.Rollback: the task goes on, and so does its job
            try:
                with ending.committing():
                    self._commit(connection, block, values)
            except psycopg.Error as error:
                if not connection.closed:
                    with suppress(psycopg.Error):
                        connection.rollback()
                raise _judged(ending, connection, error) from error

    def _commit(
        self, connection: psycopg.Connection[Any], block: psycopg.Transaction, values: list[object]
    ) -> None:
        cursor = psycopg.Cursor(connection, row_factory=tuple_row)
        with connection.pipeline() if psycopg.Pipeline.is_supported() else nullcontext():
            cursor.execute(statement("finish"), values)
            block.__exit__(None, None, None)

    @asynccontextmanager
    async def abegin(
        self, ending: Ending, given: Any
    ) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """`begin` for asyncio."""
        async with self._alend(given) as connection:
            _refuse_unfit(connection, psycopg.AsyncConnection)
            block = connection.transaction()
            await block.__aenter__()
            try:
                yield connection
                values = _values(ending)
            except BaseException as error:
                if not await block.__aexit__(type(error), error, error.__traceback__):
                    raise
                return
            try:
                with ending.committing():
                    await _finished(self._acommit(connection, block, values))
            except psycopg.Error as error:
                if not connection.closed:
                    with suppress(psycopg.Error):
                        await connection.rollback()
                raise _judged(ending, connection, error) from error

    async def _acommit(
        self,
        connection: psycopg.AsyncConnection[Any],
        block: psycopg.AsyncTransaction,
        values: list[object],
    ) -> None:
        cursor = psycopg.AsyncCursor(connection, row_factory=tuple_row)
        async with connection.pipeline() if psycopg.Pipeline.is_supported() else nullcontext():
            await cursor.execute(statement("finish"), values)
            await block.__aexit__(None, None, None)

    def _lend(self, given: Any) -> AbstractContextManager[Any]:
        if isinstance(given, psycopg.Connection):
            return nullcontext(given)
        return self.pool.connection() if given is None else _borrow(given, psycopg.Connection)

    def _alend(self, given: Any) -> AbstractAsyncContextManager[Any]:
        if isinstance(given, psycopg.AsyncConnection):
            return nullcontext(given)
        return self.pool.aconnection() if given is None else _borrow(given, psycopg.AsyncConnection)


def _borrow(pool: Any, kind: type[Any]) -> Any:
    if not callable(getattr(pool, "connection", None)):
        raise _unfit(pool, kind)
    return pool.connection()


def _unfit(given: Any, kind: type[Any]) -> TaskError:
    method = "transaction" if kind is psycopg.Connection else "atransaction"
    return TaskError(
        f"{method}({type(given).__name__}) won't do: give a psycopg.{kind.__name__}, or a pool of "
        "such"
    )


def _refuse_unfit(connection: Any, kind: type[Any]) -> None:
    if not isinstance(connection, kind):
        raise _unfit(connection, kind)
    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise TaskError(
            "transaction() on a connection that is amid a transaction, or closed, won't do: the "
            "commit is to be the job's end; give one that is idle"
        )


def _values(ending: Ending) -> list[object]:
    """The parameters of `wsup.finish`. Raises ResultError."""
    encoded = ending.encoded()
    seconds = time.monotonic() - ending.started
    result = None if encoded is None else encoded.decode()
    return [ending.claim, ending.job, ending.subworker, seconds, result]


def _judged(ending: Ending, connection: Any, error: psycopg.Error) -> Exception:
    """What the task is told of a COMMIT that was not answered, or refused."""
    if connection.closed:
        return ConnectionLost(f"{ConnectionLost.__doc__} ({error})")
    ending.undone()
    if error.sqlstate == LOST:
        return JobLost(
            f"{error.diag.message_primary}; what its transaction has written is undone",
            job_id=ending.job,
        )
    return explain(error) if isinstance(error, NO_SCHEMA) else error


async def _finished(work: Coroutine[Any, Any, None]) -> None:
    """Await `work` to its end, also if the waiting task is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        task.result()
        raise
