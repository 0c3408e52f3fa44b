"""An embedded PostgreSQL of the harness's own, with default settings, gone at the end."""

from __future__ import annotations

import shutil
import signal
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psycopg
from psycopg.conninfo import make_conninfo

from wsup.config.embedded import EmbeddedServer
from wsup.sql.migrate import migrate

from .statements import statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

#: The database that is measured, which has no other one beside it most of the time.
DATABASE = "measured"
#: The supervisor's role. It is its own, so that its statements can be told from the harness's.
WORKER = "worker"


class Server:
    """`with Server() as server:` runs PostgreSQL; fsync and synchronous_commit stay on."""

    def __init__(self, settings: Mapping[str, str] = {}) -> None:
        #: For everything that a run leaves behind; removed with the server.
        self.folder = Path(tempfile.mkdtemp(prefix="wsup-bench-"))
        self._embedded = EmbeddedServer(self.folder, settings=settings)
        #: As root, the data are not in the folder: this one directory is ours, its parent is not.
        self.home = self._embedded.data_dir.parent

    def __enter__(self) -> Self:
        try:
            self._embedded.start()
            with self.connect("template1") as connection:
                connection.execute(statement("prepare_server"), prepare=False)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server and remove all of it; a second Ctrl-C doesn't come between."""
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self._embedded.stop()
        finally:
            for made in (self.home, self._embedded.socket_dir, self.folder):
                shutil.rmtree(made, ignore_errors=True)
            signal.signal(signal.SIGINT, before)

    def dsn(self, database: str = "postgres", user: str = "postgres") -> str:
        return make_conninfo(self._embedded.dsn, dbname=database, user=user)

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """A connection of the harness's own, in autocommit."""
        return psycopg.connect(self.dsn(database), autocommit=True)

    @contextmanager
    def database(self, name: str, *, migrated: bool = True) -> Iterator[str]:
        """A fresh database called `measured` or `compared`, dropped at the end."""
        with self.connect() as connection:
            connection.execute(statement(f"create_{name}"))
        try:
            if migrated:
                with self.connect(name) as connection:
                    migrate(connection)
            yield name
        finally:
            with self.connect() as connection:
                connection.execute(statement(f"drop_{name}"))

    @property
    def pid(self) -> int:
        """The postmaster's."""
        return int((self._embedded.data_dir / "postmaster.pid").read_text().split("\n")[0])

    def version(self) -> str:
        """PostgreSQL's version, as it says it itself."""
        with self.connect() as connection:
            return connection.info.parameter_status("server_version") or "?"
