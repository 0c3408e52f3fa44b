"""What jobs print and log, captured with the job that has done it, and shown where it was before.

The standard streams are replaced, and the root logger gets a handler, once in a process. Who writes
is found out when something is written: by the context, which asyncio and `asyncio.to_thread` carry
along; where one job runs at a time, in any thread. So a job that writes nothing pays nothing.
"""

import io
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any, TextIO, TypeAlias

from .call import CurrentCall
from .context import CURRENT, CurrentJob
from .lines import Lines

Current: TypeAlias = CurrentJob | CurrentCall


class Capture:
    """Finds the lines of the job on whose behalf something is written."""

    def __init__(
        self,
        levels: Mapping[str, int],
        most: int,
        alone: Callable[[], Current | None] = lambda: None,
    ) -> None:
        #: By name, the tasks whose jobs are captured: from which level on, of records.
        self._levels = levels
        #: Bytes of an attempt.
        self._most = most
        #: The one job that runs, where there are not several at once.
        self._alone = alone
        #: Takes in first what C code has written, where that is captured, too.
        self.before: Callable[[Current], None] | None = None
        self._main = threading.get_ident()
        #: False in a process that a task has forked.
        self.is_ours = True

    def job(self) -> Current | None:
        """The job that the calling thread works for, if it is to be captured."""
        if not self.is_ours:
            return None
        job = CURRENT.get(None)
        if job is None and threading.get_ident() != self._main:
            job = self._alone()
        return job if job is not None and job.task in self._levels else None

    def level(self, job: Current) -> int:
        return self._levels[job.task]

    def lines(self, job: Current) -> Lines | None:
        """Where its lines go; None once it has ended."""
        if self.before is not None and threading.get_ident() == self._main:
            self.before(job)
        notes = job.notes or job.begin_notes()
        if notes.lines is None:
            most = job.share(self._most) if isinstance(job, CurrentCall) else self._most
            notes.lines = Lines(notes, most)
        return notes.lines if notes.is_open else None

    def write(self, stream: str, text: str) -> None:
        """Something was written to a stream."""
        job = self.job()
        if job is not None and (lines := self.lines(job)) is not None:
            lines.write(stream, text, threading.get_ident())

    def write_of(self, job: Current, stream: str, text: str) -> None:
        """C code, or another process, has written to a stream of this job's."""
        if job.task in self._levels and (lines := self.lines(job)) is not None:
            lines.write(stream, text, 0)


class Stream:
    """A standard stream that is captured, and passed on to what it was before."""

    def __init__(self, name: str, passed: IO[str], capture: Capture) -> None:
        self._name = name
        self._passed = passed
        self._capture = capture

    def write(self, text: str) -> int:
        written = self._passed.write(text)
        self._capture.write(self._name, text)
        return written

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def fileno(self) -> int:
        """What a program is given that is to write here."""
        return 1 if self._name == "stdout" else 2

    @property
    def buffer(self) -> "Bytes":
        return Bytes(self._name, self._passed.buffer, self._capture)  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._passed, name)


class Bytes:
    """`sys.stdout.buffer` of a stream that is captured."""

    def __init__(self, name: str, passed: io.BufferedIOBase, capture: Capture) -> None:
        self._name = name
        self._passed = passed
        self._capture = capture

    def write(self, data: bytes) -> int:
        written = self._passed.write(data)
        self._capture.write(self._name, bytes(data).decode("utf-8", "backslashreplace"))
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._passed, name)


class Handler(logging.Handler):
    """Of the root logger: captures the records of jobs."""

    def __init__(self, capture: Capture, last_resort: IO[str] | None) -> None:
        super().__init__()
        self._capture = capture
        #: Where no handler was set up, Python shows warnings, and errors, here.
        self._last_resort = last_resort

    def emit(self, record: logging.LogRecord) -> None:
        job = self._capture.job()
        try:
            if job is not None and record.levelno >= self._capture.level(job):
                lines = self._capture.lines(job)
                if lines is not None:
                    lines.add(record.name, record.levelname, self.format(record))
            if self._last_resort is not None and record.levelno >= logging.WARNING:
                self._last_resort.write(f"{self.format(record)}\n")
        except Exception:
            self.handleError(record)


def capture_streams(capture: Capture, passed: tuple[IO[str], IO[str]] | None = None) -> None:
    """From now on, of this process and not of what it forks; passed on to these, if given."""
    before = sys.stdout, sys.stderr
    out, err = passed or before
    sys.stdout = Stream("stdout", out, capture)
    sys.stderr = Stream("stderr", err, capture)

    def give_up() -> None:
        capture.is_ours = False
        sys.stdout, sys.stderr = before

    os.register_at_fork(after_in_child=give_up)


def capture_records(capture: Capture, levels: Iterable[int]) -> None:
    """Have the root logger's records captured: once those have been set up who are to have them.

    A record that is also written to a standard stream is captured once.
    """
    root, shown = logging.getLogger(), sys.stderr
    passed = getattr(shown, "_passed", shown)
    is_unused = not root.handlers
    for logger in [root, *(x for x in root.manager.loggerDict.values() if _reaches(x, root))]:
        for handler in getattr(logger, "handlers", ()):
            if isinstance(handler, logging.StreamHandler):
                _pass_by(handler)
    root.addHandler(Handler(capture, passed if is_unused else None))
    if is_unused:
        root.setLevel(min(root.level, *levels))


def _reaches(logger: object, root: logging.Logger) -> bool:
    """Do its records go on to the root?"""
    while isinstance(logger, logging.Logger) and logger is not root:
        if not logger.propagate:
            return False
        logger = logger.parent
    return logger is root


def _pass_by(handler: "logging.StreamHandler[Any]") -> None:
    """Have it write to where the standard stream that it has leads, but not through it."""
    for stream in (sys.stdout, sys.stderr):
        if handler.stream in (stream, sys.__stdout__ if stream is sys.stdout else sys.__stderr__):
            handler.setStream(getattr(stream, "_passed", stream))
            return


def capture_warnings(capture: Capture) -> None:
    """Have warnings captured as records, and shown: once a place and job, for Python's own once a
    place and process would leave them to the first job that causes them."""
    show = warnings.showwarning
    is_own = show.__module__ in ("warnings", "_py_warnings")
    seen: set[object] = set()
    warnings.simplefilter("always", append=True)  # for those that no other filter is for

    def showwarning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        job = capture.job()
        lines = capture.lines(job) if job is not None else None
        place = (category, filename, lineno, str(message))
        known = seen if lines is None else lines.warned
        if place in known:
            return
        known.add(place)
        if not is_own or file is not None:
            show(message, category, filename, lineno, file, line)
            return
        text = warnings.formatwarning(message, category, filename, lineno, line)
        if job is not None and lines is not None and capture.level(job) <= logging.WARNING:
            lines.add("py.warnings", "WARNING", text.rstrip("\n"))
        getattr(sys.stderr, "_passed", sys.stderr).write(text)

    warnings.showwarning = showwarning
