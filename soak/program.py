"""A program of the soak: started, told, killed, and asked to leave."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from .errors import SoakError

ROOT = Path(__file__).parents[1]
#: Marks every process of a soak, in its environment.
MARK = "SOAK_MARK"
#: Seconds to get ready, and to stop.
PATIENCE = 120.0
LOOK_AGAIN = 0.05
#: Lines of its log that are shown when something is wrong.
TAIL = 20


def environment(folder: Path) -> dict[str, str]:
    """Of the programs of the soak in `folder`: nothing of wsup's, and its mark."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PG", "WSUP_", "PYTHON"))
    }
    return kept | {"PYTHONPATH": str(ROOT), MARK: str(folder)}


class Program:
    """`name`: in errors, and of its log."""

    def __init__(self, name: str, folder: Path, variables: dict[str, str] | None = None) -> None:
        self.name = name
        self.log = folder / f"{name.replace(' ', '')}.log"
        self._folder = folder
        self._environment = environment(folder) | (variables or {})
        self._process: subprocess.Popen[bytes] | None = None
        #: Where in the log this start of it begins.
        self._from = 0

    def start(self, command: list[str]) -> None:
        with self.log.open("ab") as log:
            self._from = log.tell()
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the harness, which stops it in order
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def said(self) -> str:
        """Since it was started."""
        with self.log.open("rb") as log:
            log.seek(self._from)
            return log.read().decode(errors="replace")

    def tail(self) -> str:
        return "\n".join(self.said().splitlines()[-TAIL:])

    def send(self, signum: signal.Signals) -> None:
        """Raises SoakError if it has ended by itself."""
        if self._process is None or not self.is_alive():
            raise SoakError(f"{self.name} has ended:\n{self.tail()}")
        self._process.send_signal(signum)

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """Let it finish and leave; returns its exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL


def survivors(folder: Path) -> list[str]:
    """The processes that carry the mark of the soak in `folder`: pid and command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={folder}".encode() in (process / "environ").read_bytes().split(b"\0"):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found.append(f"{process.name} {command.strip() or '(ended)'}")
        except OSError:
            continue  # it has gone, or is another user's
    return found
