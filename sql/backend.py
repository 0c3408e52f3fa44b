"""The server's process at the other end of a connection."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import tuple_row

from ..config.errors import Unreachable
from .answers import SourceLost
from .statements import statement

READ_ONLY = (
    "the server is read-only: a standby, or default_transaction_read_only is on; "
    "with several hosts in the DSN, target_session_attrs=read-write finds the one that is not"
)


class Backend(NamedTuple):
    pid: int
    #: With the pid, this tells it from all other processes that the server ever had.
    started: datetime
    #: Whether a statement by itself runs in the isolation level that turns need.
    read_committed: bool
    read_only: bool


async def meet(connection: psycopg.AsyncConnection[Any], before: Backend | None) -> Backend:
    """Look who is there, and end the process that served us `before`, if it is still about.

    It may hang, or sit amid a transaction whose rest was lost on the way, and then holds locks
    until it notices by itself. Raises SourceLost if nothing can be written there.
    """
    cursor = connection.cursor(row_factory=tuple_row)
    await cursor.execute(statement("backend"))
    backend = Backend(*(await cursor.fetchone() or ()))
    if backend.read_only:
        raise SourceLost(READ_ONLY)
    if before is not None and before != backend:
        await connection.execute(statement("end_backend"), [before.pid, before.started])
    return backend


def refuse_read_only(connection: psycopg.Connection[Any]) -> None:
    """Raises Unreachable, because that may pass: somebody may promote a standby."""
    row = connection.cursor(row_factory=tuple_row).execute(statement("backend")).fetchone()
    if Backend(*(row or ())).read_only:
        raise Unreachable(READ_ONLY)


def is_pooled(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], pid: int) -> bool:
    """Does a pooler such as PgBouncer stand between? `pid` is what the server's process says.

    A pooler gives its clients process ids of its own making.
    """
    return pid != connection.info.backend_pid


def hang_up(connection: psycopg.AsyncConnection[Any]) -> None:
    """End both directions of its socket, without closing that: who waits for it is told."""
    # Already gone: nobody can be waiting for it.
    with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)


@contextmanager
def time_limit(connection: psycopg.AsyncConnection[Any], seconds: float) -> Iterator[None]:
    """Cut the connection off when what is done with it here takes longer. Raises SourceLost.

    Who waits for the answer is then told that the connection is lost. To cancel it instead would
    make psycopg ask the server to cancel the statement, and wait for a server that hangs.
    """
    overdue = False

    def cut() -> None:
        nonlocal overdue
        overdue = True
        hang_up(connection)

    timer = asyncio.get_running_loop().call_later(seconds, cut)
    try:
        yield
    except psycopg.Error as error:
        if overdue:
            raise SourceLost(f"no answer within {seconds:g} s") from error
        raise
    finally:
        timer.cancel()
