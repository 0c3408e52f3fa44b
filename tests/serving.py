"""A real server in a process of its own, as the tests see it."""

import re
import signal
import sys
from pathlib import Path

from running import Supervisor


class Server(Supervisor):
    """`wsup serve` on `database`."""

    def __init__(self, database: str, folder: Path, *flags: str) -> None:
        super().__init__(database, folder, "")
        self.address, self.port = "127.0.0.1", 0
        self._flags = flags

    def start(self, **environment: str) -> "Server":
        """Start it and wait until it listens; again at the same port."""
        self.command = [
            sys.executable, "-m", "wsup", "serve", "--database", self.database,
            "--bind", f"{self.address}:{self.port}", *self._flags,
        ]  # fmt: skip
        super().start(**environment)
        found = re.search(r"serving on \S+ port (\d+)", self.log)
        assert found is not None
        self.port = int(found[1])
        return self

    def reload(self) -> None:
        """Have it read its certificate again."""
        self.send(signal.SIGHUP)
        self.wait_for("the certificate is read again")

    @property
    def url(self) -> str:
        return f"http{'s' if '--certificate' in self._flags else ''}://{self.address}:{self.port}"
