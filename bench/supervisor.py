"""A real `wsup start` in a process of its own, as the harness sees it: from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from wsup.cli.control import NoSupervisor, ask

from .errors import BenchError
from .processes import children

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

ROOT = Path(__file__).parents[1]
APP = "bench.app:app"
SUBWORKERS = 8

#: Seconds to get ready, and to stop.
PATIENCE = 60.0
#: Seconds between two looks whether it is ready, and into its log.
LOOK_AGAIN, READ_AGAIN = 0.05, 0.01


def environment() -> dict[str, str]:
    """Ours, without what would change what is measured; `bench.app` can be imported."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "WSUP_", "PYTHON"))}
    return ours | {"PYTHONPATH": str(ROOT)}


class Supervisor:
    """`with Supervisor(dsn, folder) as supervisor:` has all of its subworkers ready."""

    def __init__(
        self, dsn: str, folder: Path, *, app: str = APP, variables: Mapping[str, str] | None = None
    ) -> None:
        self._environment = environment() | dict(variables or {})
        self._run_dir = folder / "run"
        self._log = folder / "supervisor.log"
        self._folder = folder
        self._command = [
            sys.executable, "-m", "wsup", "start", "--app", app, "--subworkers", str(SUBWORKERS),
            "--database", dsn, "--run-dir", str(self._run_dir),
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        self.subworkers: list[int] = []

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the harness, which stops it in order
            )
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def template(self) -> list[int]:
        """The template: the one child that is no subworker."""
        return [pid for pid in children(self.pid) if pid not in self.subworkers]

    def pause(self) -> None:
        ask(self._run_dir, "pause")

    def resume(self) -> None:
        ask(self._run_dir, "resume")

    def reload(self) -> float:
        """Send SIGHUP and wait until its log says that this is over; returns the seconds."""
        assert self._process is not None
        before = self._reloads()
        started = time.monotonic()
        self._process.send_signal(signal.SIGHUP)
        while self._reloads() == before:
            if self._process.poll() is not None or time.monotonic() > started + PATIENCE:
                raise BenchError(f"a reload has not come to its end:\n{self._tail()}")
            time.sleep(READ_AGAIN)
        return time.monotonic() - started

    def _reloads(self) -> int:
        log = self._log.read_text(errors="replace")
        if "not reloaded" in log:
            raise BenchError(f"a reload was refused:\n{self._tail()}")
        return log.count(" reloaded: ")

    def check_alive(self) -> None:
        """Raise BenchError if the supervisor or a subworker has died or was replaced."""
        if self._process is None or self._process.poll() is not None:
            raise BenchError(f"the supervisor has ended:\n{self._tail()}")
        if self._pids(self._status()) != self.subworkers:
            raise BenchError(f"a subworker was replaced:\n{self._tail()}")

    def stop(self) -> None:
        """Let it finish and leave; idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            try:
                status = self._status()
            except NoSupervisor:
                status = {"subworkers": []}
            idle = [s for s in status["subworkers"] if s["state"] == "idle"]
            if len(idle) == SUBWORKERS:
                self.subworkers = self._pids(status)
                return
            time.sleep(LOOK_AGAIN)
        raise BenchError(f"the supervisor did not get ready:\n{self._tail()}")

    def _status(self) -> dict[str, Any]:
        status: dict[str, Any] = ask(self._run_dir, "status")["status"]
        return status

    def _pids(self, status: dict[str, Any]) -> list[int]:
        return sorted(subworker["pid"] for subworker in status["subworkers"])

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])
