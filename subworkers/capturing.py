"""Whether what jobs write is captured in this process, and how much of it can be."""

from .attempt import Attempts
from .capture import Capture, capture_records, capture_streams, capture_warnings
from .contract import RunnableApp
from .memory import SharedMemory
from .output import Output


class Capturing:
    def __init__(
        self, app: RunnableApp, attempts: Attempts, memory: SharedMemory, most: int, *, alone: bool
    ) -> None:
        """`most`: bytes of an attempt, 0 for nothing; `alone`: one job runs at a time."""
        self._levels = {
            task.name: level
            for task in app.tasks.values()
            if most and (level := task.capture_level) is not None
        }
        if not self._levels:
            return
        running = (lambda: attempts.running) if alone else (lambda: None)
        self._capture = Capture(self._levels, most, running)
        if not alone:
            capture_streams(self._capture)
            return
        output = Output((memory.fds.stdout, memory.fds.stderr), memory.board, attempts.undisturbed)
        output.capture = self._capture
        self._capture.before = output.collect
        attempts.output = output
        capture_streams(self._capture, output.passed)

    def begin_records(self) -> None:
        """The start hooks have set up logging as they want it."""
        if self._levels:
            capture_records(self._capture, self._levels.values())
            capture_warnings(self._capture)
