"""A peer's worker processes: started, watched, measured and ended as one."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Self

from ..processes import family, pss_bytes
from .client import tail
from .errors import PeerFailed

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

#: Seconds to end after SIGTERM; then they are killed, with all that they have started.
PATIENCE = 30.0
#: Seconds between two looks at their memory: each costs them a few hundred microseconds.
LOOK_AGAIN = 1.0


class Workers:
    """`with Workers(command, processes, environment, log) as workers:` has them started."""

    def __init__(
        self, command: list[str], processes: int, environment: dict[str, str], log: Path
    ) -> None:
        self._start = (command, processes, environment)
        self._log = log
        self._processes: list[subprocess.Popen[bytes]] = []
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        #: The most that they took together, in bytes, of what was seen.
        self.peak_pss = 0

    def __enter__(self) -> Self:
        command, processes, environment = self._start
        with self._log.open("ab") as log:
            for _ in range(processes):
                process = subprocess.Popen(
                    command,
                    env=environment,
                    cwd=environment["BENCH_FOLDER"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
                self._processes.append(process)
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if isinstance(error, PeerFailed):
                self.check_alive()  # then this is why
        finally:
            self.stop()

    @property
    def pids(self) -> list[int]:
        """Those that were started here; others are below them."""
        return [process.pid for process in self._processes]

    def check_alive(self) -> None:
        """Raise PeerFailed if one has ended."""
        for process in self._processes:
            if process.poll() is not None:
                raise PeerFailed(f"a worker ended by itself:\n{tail(self._log)}")

    def stop(self) -> None:
        """TERM, and KILL for those that don't end; idempotent."""
        self._ended.set()
        for process in self._processes:
            process.terminate()
        deadline = time.monotonic() + PATIENCE
        for process in self._processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _kill_group(process)
        self._processes = []

    def look(self) -> None:
        """See how much memory they take now."""
        pids = [pid for root in self.pids for pid in family(root)]
        try:
            self.peak_pss = max(self.peak_pss, pss_bytes(pids))
        except (FileNotFoundError, ProcessLookupError):
            pass  # one has just ended: the next look will do

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_AGAIN):
            self.look()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Each is the leader of a session, and so of its process group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
