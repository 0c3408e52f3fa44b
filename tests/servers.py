"""PostgreSQL servers of a test's own, to be stopped, restarted and replaced by their standby."""

import os
import select
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier
from running import PATIENCE, until

from wsup.config.embedded import EmbeddedServer
from wsup.sql.migrate import migrate

FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT


class OwnServer(EmbeddedServer):
    """An embedded server that can also crash, and have a standby."""

    def __init__(self, root: Path) -> None:
        # A crash of the server, unlike one of the machine, leaves what it wrote to the kernel.
        super().__init__(root, settings={"fsync": "off", "max_connections": "60"})

    def end(self, how: signal.Signals = FAST) -> None:
        """Stop it, and wait for its end."""
        pid = int((self.data_dir / "postmaster.pid").read_text().split("\n")[0])
        with os.fdopen(os.pidfd_open(pid), "rb", 0) as process:
            os.kill(pid, how)
            poll = select.poll()
            poll.register(process, select.POLLIN)
            assert poll.poll(PATIENCE * 1000), f"{self.data_dir} still runs"

    def connect(self, database: str = "postgres", **parameters: str) -> psycopg.Connection[Any]:
        dsn = make_conninfo(self.dsn, dbname=database, **parameters)
        return psycopg.connect(dsn, autocommit=True)

    def make_database(self, name: str, tablespace: str = "pg_default") -> str:
        """Make a migrated database; returns its DSN."""
        with self.connect() as connection:
            connection.execute(
                SQL("CREATE DATABASE {} TABLESPACE {}").format(
                    Identifier(name), Identifier(tablespace)
                )
            )
        with self.connect(name) as connection:
            migrate(connection)
        return make_conninfo(self.dsn, dbname=name)

    def start_standby(self, root: Path) -> "OwnServer":
        """Start a standby, by streaming; every commit here waits for it."""
        standby = OwnServer(root)
        standby._refuse_early()
        standby._state.mkdir(parents=True)
        standby._make_directories()
        standby._find_programs()
        how = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--pgdata=data"]
        standby._run("pg_basebackup", f"--dbname={self.dsn}", *how)
        standby.start()
        with self.connect() as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
            until(_synchronous(connection), "the standby is synchronous")
        return standby

    def remove(self) -> None:
        self.stop()
        for folder in (self.data_dir.parent, self.socket_dir):
            shutil.rmtree(folder, ignore_errors=True)


def _synchronous(connection: psycopg.Connection[Any]) -> Callable[[], bool]:
    query = "SELECT FROM pg_stat_replication WHERE sync_state = 'sync'"
    return lambda: connection.execute(query).rowcount == 1
