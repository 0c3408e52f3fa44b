"""What a task may have done to its process, to be looked at before the next job runs in it.

The working directory and the locale are put back. What can't be put back with certainty is a
breach: the subworker asks to be replaced (see ARCHITECTURE.md).
"""

import locale
import os
import resource
import signal
import sys
import time
import traceback

# Those of `signal` make Enums of what these return: getsignal at 50 times the cost.
from _signal import getsignal, pthread_sigmask  # type: ignore[import-not-found]
from asyncio import _get_running_loop
from collections.abc import Sequence
from typing import NoReturn

from .descriptors import lift

#: Asks a subworker that is inside a task to look at its orders (see `SyncRunner.attend`).
ATTENTION = signal.SIGRTMIN + 1
#: Asks a subworker to write down the stacks of its threads (see `Member.stacks`).
STACKS = signal.SIGRTMIN + 2

#: Seconds from which on a job is followed by the whole look, which takes some 15 µs. Shorter ones
#: share it with those that run within the same few milliseconds. What can be looked at in no time
#: (the signals and their handlers, the working directory, a running loop) is, after each.
LONG_ENOUGH = 0.0001
#: Seconds between two whole looks where async jobs end, many at a time.
ASYNC_PAUSE = 0.005

_STANDARD = (0, 1, 2)
_SIGNALS = (signal.SIGALRM, ATTENTION, STACKS)
_LIMITS = (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_NOFILE)


class Trust:
    """The state of this process as the jobs are to find it. To be made in the main thread."""

    def __init__(self, bells: Sequence[int]) -> None:
        self._bells = tuple(bells)
        self._blocked = pthread_sigmask(signal.SIG_BLOCK, ())
        self._handlers = [(signum, getsignal(signum)) for signum in _SIGNALS]
        self._folder = -1
        self.begin()

    def begin(self) -> None:
        """From now on, things are to stay as they are: the start hooks have run."""
        if self._folder >= 0:
            os.close(self._folder)
        (self._folder,) = lift([os.open(".", os.O_PATH | os.O_DIRECTORY)])
        self._locale = locale.setlocale(locale.LC_ALL)
        self._limits = _limits()
        self._files = [_file(fd) for fd in self._watched()]
        self._looked_at = time.monotonic()

    def _watched(self) -> tuple[int, ...]:
        return *_STANDARD, *self._bells

    def after_sync(self, *, whole: bool) -> str:
        """Look, after a sync job, in the main thread; returns the breach in words, or ""."""
        try:
            os.fchdir(self._folder)
        except OSError:
            return "a descriptor of the subworker's own was closed"
        if _get_running_loop() is not None:
            return "an event loop was left running"
        if pthread_sigmask(signal.SIG_BLOCK, ()) != self._blocked:
            return "the blocked signals were changed"
        return self._shared_by_threads() if whole else self._handlers_changed()

    def after_async(self) -> str:
        """Look, after an async job; returns the breach in words, or ""."""
        if time.monotonic() - self._looked_at < ASYNC_PAUSE:
            return self._handlers_changed()
        return self._shared_by_threads()

    def _shared_by_threads(self) -> str:
        self._looked_at = time.monotonic()
        if breach := self._handlers_changed():
            return breach
        for fd, before in zip(self._watched(), self._files, strict=True):
            if _file(fd) != before:
                own = "a standard stream" if fd in _STANDARD else "one of the subworker's own"
                return f"descriptor {fd}, {own}, was closed or replaced"
        if _limits() != self._limits:
            return "a resource limit was changed"
        if locale.setlocale(locale.LC_ALL) != self._locale:
            locale.setlocale(locale.LC_ALL, self._locale)
        return ""

    def _handlers_changed(self) -> str:
        for signum, handler in self._handlers:
            if getsignal(signum) is not handler:
                return f"the handler of {_name(signum)} was changed"
        return ""

    def can_be_told(self) -> bool:
        """Are the bells still there, by which the supervisor and this process call each other?"""
        at = len(_STANDARD)
        return [_file(fd) for fd in self._bells] == self._files[at:]


def _file(fd: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _limits() -> list[tuple[int, int]]:
    return [resource.getrlimit(limit) for limit in _LIMITS]


def _name(signum: int) -> str:
    return f"SIGRTMIN+{signum - signal.SIGRTMIN}" if signum >= signal.SIGRTMIN else "SIGALRM"


def end_fork(error: BaseException | None) -> NoReturn:
    """End a process that a task has forked and that has come back from the task as if it were the
    subworker: as Python ends a program, but through nothing of ours."""
    status = 1
    try:
        if error is None:
            status = 0
        elif isinstance(error, SystemExit) and not isinstance(error.code, str):
            status = int(error.code or 0) & 0xFF
        else:
            traceback.print_exception(error)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)
