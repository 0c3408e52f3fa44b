"""A 'host': a run directory with a real `wsup start` in it, which may be killed and started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.processes import children
from wsup.cli.control import ask
from wsup.config.errors import WsupError

from . import ledger
from .errors import SoakError

if TYPE_CHECKING:
    from .plan import Plan

ROOT = Path(__file__).parents[1]
#: Marks every process of a soak, in its environment.
MARK = "SOAK_MARK"
#: Seconds to get ready, and to stop.
PATIENCE = 120.0
LOOK_AGAIN = 0.05


class Host:
    def __init__(self, number: int, dsn: str, folder: Path, plan: Plan) -> None:
        self.number = number
        self.run_dir = folder / f"host{number}"
        self.log = folder / f"host{number}.log"
        self._folder = folder
        self._environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PG", "WSUP_", "PYTHON"))
        } | {
            "PYTHONPATH": str(ROOT),
            ledger.FOLDER: str(folder / "ledger"),
            ledger.HOST: str(number),
            MARK: str(folder),
        }
        self._command = [
            sys.executable, "-m", "wsup", "start", "--app", "soak.app:app", "--database", dsn,
            "--subworkers", str(plan.subworkers), "--run-dir", str(self.run_dir),
            "--lease", str(plan.lease), "--max-lost", "1000", "--connect-tries", "100",
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the harness, which stops it in order
            )

    def await_ready(self) -> None:
        """Until it answers and a subworker has been warmed. Raises SoakError."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            if self.status():
                return
            time.sleep(LOOK_AGAIN)
        raise SoakError(f"host {self.number} did not get ready:\n{self.tail()}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

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

    def send(self, signum: signal.Signals) -> None:
        """To the supervisor. Raises SoakError if it has ended by itself."""
        if self._process is None or self._process.poll() is not None:
            raise SoakError(f"the supervisor of host {self.number} has ended:\n{self.tail()}")
        self._process.send_signal(signum)

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

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])


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
