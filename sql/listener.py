"""The connection that only listens, and holds the advisory lock by which others see us alive."""

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from .connect import aconnect
from .statements import statement


class Listener:
    """Calls `on_notify` for every notification, `on_lost` once when the connection is gone.

    Between statements its socket is watched directly: a notification then costs one callback,
    which matters to the latency of an idle system.
    """

    def __init__(
        self, dsn: str, on_notify: Callable[[], None], on_lost: Callable[[], None]
    ) -> None:
        self._dsn = dsn
        self._on_notify = on_notify
        self._on_lost = on_lost
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._fd = -1

    @property
    def connected(self) -> bool:
        return self._connection is not None

    async def connect(self, supervisor: int) -> None:
        """(Re)connect, take the supervisor's lock, listen. Raises DatabaseError, psycopg.Error."""
        await self.close()
        connection = await aconnect(self._dsn, application_name="wsup listener")
        await connection.set_autocommit(True)
        await connection.execute(statement("hold"), [supervisor])
        for channel in ("wsup", f"wsup_{supervisor}"):
            await connection.execute(SQL("LISTEN {}").format(Identifier(channel)))
        self._connection = connection
        self._fd = connection.fileno()
        asyncio.get_running_loop().add_reader(self._fd, self._receive)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            asyncio.get_running_loop().remove_reader(self._fd)
            await connection.close()

    def _receive(self) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            connection.pgconn.consume_input()
            heard = False
            while connection.pgconn.notifies():
                heard = True
        except psycopg.OperationalError:
            asyncio.get_running_loop().remove_reader(self._fd)
            self._connection = None
            self._on_lost()
            return
        if heard:
            self._on_notify()
