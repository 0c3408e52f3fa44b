"""A Redis of the harness's own, with its default settings, for the systems that are made for it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Self

from .errors import PeerFailed

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

PROGRAM = "redis-server"
REMEDY = f"no {PROGRAM} in PATH: apt install redis-server"
#: Seconds to start, and to answer.
PATIENCE = 10.0
LOOK_AGAIN = 0.02


def is_there() -> bool:
    return shutil.which(PROGRAM) is not None


class Redis:
    """`with Redis(folder) as redis:` runs one; its data lie in the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = [PROGRAM, "--bind", "127.0.0.1", "--port", str(self._port)]
        with (self._folder / "redis.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--dir", str(self._folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                raise PeerFailed("redis-server did not start")
            time.sleep(LOOK_AGAIN)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def version(self) -> str:
        for line in self.ask("INFO server").splitlines():
            if line.startswith("redis_version:"):
                return line.partition(":")[2]
        return "?"

    def empty(self) -> None:
        """Forget everything."""
        if not self.ask("FLUSHALL").startswith("+OK"):
            raise PeerFailed("Redis could not be emptied")

    def ask(self, command: str) -> str:
        """One command without blanks in its arguments, as telnet would send it."""
        with socket.create_connection(("127.0.0.1", self._port), PATIENCE) as connection:
            connection.sendall(f"{command}\r\nQUIT\r\n".encode())
            with connection.makefile("rb") as reply:
                return reply.read().decode()

    def _answers(self) -> bool:
        try:
            return self.ask("PING").startswith("+PONG")
        except OSError:
            return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
