"""`wsup serve` on a machine of its own, which may be killed and started."""

from __future__ import annotations

import re
import sys
import time
from typing import TYPE_CHECKING

from .errors import SoakError
from .program import LOOK_AGAIN, PATIENCE, Program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .certificate import Certificate
    from .plan import Plan

READY = re.compile(r"ready: serving on \S+ port (\d+)")


class Served(Program):
    def __init__(
        self,
        number: int,
        dsn: str,
        folder: Path,
        plan: Plan,
        *,
        address: str,
        within: Sequence[str],
        certificate: Certificate | None,
    ) -> None:
        super().__init__(f"server {number}", folder)
        self.number = number
        self.address = address
        self.port = 0
        self._within = within
        self._scheme, tls = "http", ["--plain"]
        if certificate:
            self._scheme = "https"
            tls = ["--certificate", str(certificate.shown), "--key", str(certificate.key)]
        self._flags = [
            "--database", dsn, "--keys", str(folder / "keys"), *tls,
            "--lease", str(plan.lease), "--max-lost", "1000", "--connect-tries", "100",
        ]  # fmt: skip

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self.address}:{self.port}"

    def launch(self) -> None:
        """At the same port as before."""
        bind = f"{self.address}:{self.port}"
        serve = [sys.executable, "-m", "wsup", "serve", "--bind", bind]
        self.start([*self._within, *serve, *self._flags])

    def await_ready(self) -> None:
        """Until it listens. Raises SoakError."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.is_alive():
            if found := READY.search(self.said()):
                self.port = int(found[1])
                return
            time.sleep(LOOK_AGAIN)
        raise SoakError(f"{self.name} did not get ready:\n{self.tail()}")
