"""One supervisor to a run directory: the pid file, and the lock that lives as long as we do."""

import fcntl
import json
import os
import time
from pathlib import Path

from ..config.errors import UsageError

#: Seconds to wait for the lock: who only asks whether a supervisor lives holds it for an instant.
PROBE_SECONDS = 0.2


class AlreadyRunning(UsageError):
    """Another supervisor runs in this directory."""


class PidFile:
    """Holds `flock` on the file; the lock, not the file's existence, says that somebody lives."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        #: What a supervisor left here that is certainly dead, for its lock was free.
        self.predecessor: dict[str, object] = {}

    def take(self) -> None:
        """Raises AlreadyRunning, naming who holds it; OSError if the directory can't be written."""
        self.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not _locked_within(fd, PROBE_SECONDS):
            holder = _parse(os.pread(fd, 4096, 0)).get("pid", "unknown")
            os.close(fd)
            raise AlreadyRunning(
                f"{self.path}: the supervisor with pid {holder} already runs here; stop it with "
                "`wsup stop`, or give this one a --run-dir of its own"
            )
        if not self._is_current(fd):  # its holder removed it while we opened it: once more
            os.close(fd)
            return self.take()
        self.predecessor = _parse(os.pread(fd, 4096, 0))
        self._fd = fd
        self.write({"pid": os.getpid()})
        return None

    def _is_current(self, fd: int) -> bool:
        try:
            return os.fstat(fd).st_ino == self.path.stat().st_ino
        except FileNotFoundError:
            return False

    def write(self, content: dict[str, object]) -> None:
        """Replace what the file says."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps(content).encode() + b"\n", 0)

    def release(self) -> None:
        """Remove the file. Idempotent."""
        if self._fd >= 0:
            self.path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = -1


def _locked_within(fd: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        else:
            return True


def _parse(content: bytes) -> dict[str, object]:
    try:
        parsed = json.loads(content)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
