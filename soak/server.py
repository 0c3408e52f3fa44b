"""An embedded PostgreSQL of the soak's own, that is stopped in every way; gone at the end."""

from __future__ import annotations

import os
import select
import shutil
import signal
from typing import TYPE_CHECKING, Any

import psycopg

from wsup.config.embedded import EmbeddedServer
from wsup.sql.migrate import migrate

from .errors import SoakError
from .statements import statement

if TYPE_CHECKING:
    from pathlib import Path

#: Seconds that a stopped server may take to end.
PATIENCE = 120.0


class Server:
    """Default settings: fsync and synchronous_commit are on."""

    def __init__(self, folder: Path) -> None:
        self._embedded = EmbeddedServer(folder)
        self.home = self._embedded.data_dir.parent
        self.dsn = self._embedded.dsn

    def start(self) -> None:
        self._embedded.start()
        with self.connect() as connection:
            connection.execute(statement("prepare"))
            migrate(connection)

    def connect(self, *, autocommit: bool = True) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection of the soak's own, which no fault is aimed at."""
        return psycopg.connect(
            self.dsn, autocommit=autocommit, application_name="soak", connect_timeout=10
        )

    def restart(self, how: signal.Signals) -> None:
        """SIGINT is a fast stop, SIGQUIT an immediate one, after which the WAL is replayed."""
        pid = int((self._embedded.data_dir / "postmaster.pid").read_text().split("\n")[0])
        with os.fdopen(os.pidfd_open(pid), "rb", 0) as process:
            signal.pidfd_send_signal(process.fileno(), how)
            poll = select.poll()
            poll.register(process, select.POLLIN)
            if not poll.poll(PATIENCE * 1000):
                raise SoakError(f"PostgreSQL has not ended {PATIENCE:g} s after {how.name}")
        self._embedded.start()

    def version(self) -> str:
        with self.connect() as connection:
            return connection.info.parameter_status("server_version") or "?"

    def remove(self) -> None:
        """Stop it and remove its data."""
        try:
            self._embedded.stop()
        finally:
            for made in (self.home, self._embedded.socket_dir):
                shutil.rmtree(made, ignore_errors=True)
