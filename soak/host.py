"""A 'host': a run directory with a real `wsup start` in it, which may be killed and started."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from bench.processes import children
from wsup.cli.control import ask
from wsup.config.errors import WsupError

from . import ledger
from .errors import SoakError
from .program import LOOK_AGAIN, PATIENCE, Program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .plan import Plan


class Host(Program):
    """`flags` say where its jobs come from; `within` is where it runs: a network namespace, say."""

    def __init__(
        self,
        number: int,
        flags: Sequence[str],
        folder: Path,
        plan: Plan,
        *,
        within: Sequence[str] = (),
    ) -> None:
        variables = {ledger.FOLDER: str(folder / "ledger"), ledger.HOST: str(number)}
        super().__init__(f"host {number}", folder, variables)
        self.number = number
        self.flags = list(flags)
        self.run_dir = folder / f"host{number}"
        self._command = [
            *within, sys.executable, "-m", "wsup", "start", "--app", "soak.app:app",
            "--subworkers", str(plan.subworkers), "--run-dir", str(self.run_dir),
            "--lease", str(plan.lease), "--max-lost", "1000", "--connect-tries", "100",
        ]  # fmt: skip

    def launch(self) -> None:
        self.start([*self._command, *self.flags])

    def await_ready(self) -> None:
        """Until it answers and a subworker has been warmed. Raises SoakError."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.is_alive():
            if self.status():
                return
            time.sleep(LOOK_AGAIN)
        raise SoakError(f"{self.name} did not get ready:\n{self.tail()}")

    def status(self) -> dict[str, Any]:
        """What it says of itself; nothing while it doesn't listen."""
        try:
            status: dict[str, Any] = ask(self.run_dir, "status")["status"]
        except WsupError:
            return {}
        return status

    def subworkers(self) -> list[int]:
        """The pids of those that run a job; of all, if none does."""
        members = [member for member in self.status().get("subworkers", []) if member["pid"]]
        return [member["pid"] for member in members if member["jobs"]] or [
            member["pid"] for member in members
        ]

    def kill_subworker(self, pid: int) -> bool:
        """SIGKILL to a child of the supervisor's; False, should it have ended by itself."""
        try:
            subworker = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        try:
            # The descriptor stands for one process, whoever may get its number.
            if pid not in children(self.pid):
                return False
            signal.pidfd_send_signal(subworker, signal.SIGKILL)
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(subworker)
