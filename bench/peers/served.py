"""What stands between a system's workers and the database: `peer.py serve`, one for a whole run."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Self

from .errors import PeerFailed
from .redis import free_port
from .workers import Workers

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

#: Seconds to start.
PATIENCE = 30.0
LOOK_AGAIN = 0.02


class Served:
    """`with Served(command, environment, log) as server:` has it started, and it listens."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self._port = free_port()
        #: What the workers are told of it.
        self.environment = {"BENCH_PORT": str(self._port)}
        self._process = Workers(command, 1, environment | self.environment, log)

    def __enter__(self) -> Self:
        self._process.__enter__()
        deadline = time.monotonic() + PATIENCE
        while not self._listens():
            if time.monotonic() > deadline:
                self._process.stop()
                raise PeerFailed(f"it does not serve within {PATIENCE:g} s")
            time.sleep(LOOK_AGAIN)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.__exit__(kind, error, traceback)

    @property
    def pids(self) -> list[int]:
        return self._process.pids

    def _listens(self) -> bool:
        try:
            self._process.check_alive()
        except PeerFailed:
            self._process.stop()
            raise
        try:
            with socket.create_connection(("127.0.0.1", self._port), PATIENCE):
                return True
        except OSError:
            return False
