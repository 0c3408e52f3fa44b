"""A talk with the database as steps, so that it is written once for blocking and async callers.

A talk is a generator: it yields what is to be done, and is sent the answer. `drive` and `adrive`
are the two doors; who performs a step (a pool, or a caller's connection) is theirs to say.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

import psycopg
from psycopg.rows import tuple_row

from .statements import statement

T = TypeVar("T")
Rows: TypeAlias = list[tuple[Any, ...]]


@dataclass(slots=True)
class Ask:
    """Execute `queries/<name>.sql` and fetch its rows."""

    name: str
    values: Sequence[object] = ()
    #: Whether it may be sent again if the connection broke before the answer.
    repeatable: bool = False


@dataclass(slots=True)
class Load:
    """Feed the COPY of `queries/<name>.sql`."""

    name: str
    chunks: Iterable[bytes]
    repeatable: bool = False


@dataclass(slots=True)
class Wait:
    """Do nothing for a while; for 0 seconds, only let others have a turn."""

    seconds: float = 0


Request: TypeAlias = Ask | Load
Steps: TypeAlias = Generator[Request | Wait, Rows, T]


def drive(steps: Steps[T], perform: Callable[[Request], Rows]) -> T:
    """Go through the steps, blocking. Returns what the generator returns."""
    rows: Rows = []
    try:
        step = next(steps)
        while True:
            if isinstance(step, Wait):
                if step.seconds:
                    time.sleep(step.seconds)
            else:
                rows = perform(step)
            step = steps.send(rows)
    except StopIteration as end:
        return cast("T", end.value)


async def adrive(steps: Steps[T], perform: Callable[[Request], Awaitable[Rows]]) -> T:
    """Go through the steps without blocking the event loop."""
    rows: Rows = []
    try:
        step = next(steps)
        while True:
            if isinstance(step, Wait):
                await asyncio.sleep(step.seconds)
            else:
                rows = await perform(step)
            step = steps.send(rows)
    except StopIteration as end:
        return cast("T", end.value)


# A cursor of our own, because the connection may be a user's, who may have made its cursors to
# return dicts, or to bind on the client's side.


def perform(connection: psycopg.Connection[Any], step: Request) -> Rows:
    """Perform one step on a connection, within the transaction that it is in."""
    cursor = psycopg.Cursor(connection, row_factory=tuple_row)
    if isinstance(step, Ask):
        return cursor.execute(statement(step.name), step.values).fetchall()
    with cursor.copy(statement(step.name)) as copy:
        for chunk in step.chunks:
            copy.write(chunk)
    return []


async def aperform(connection: psycopg.AsyncConnection[Any], step: Request) -> Rows:
    """`perform` on an AsyncConnection."""
    cursor = psycopg.AsyncCursor(connection, row_factory=tuple_row)
    if isinstance(step, Ask):
        await cursor.execute(statement(step.name), step.values)
        return await cursor.fetchall()
    async with cursor.copy(statement(step.name)) as copy:
        for chunk in step.chunks:
            await copy.write(chunk)
    return []
