"""The tasks' own books: each start and each end, written past wsup.

A subworker process appends to a file of its own, a record of fixed size in one write(2). What the
kernel has taken stays, whatever becomes of the process. The file's name says whose it is.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Job, seconds on CLOCK_MONOTONIC, pid, attempt, event, and 1 if not in the main thread.
RECORD = struct.Struct("<QdIHBB")
FOLDER, HOST = "SOAK_LEDGER", "SOAK_HOST"


class Event(IntEnum):
    START = 1
    OK = 2
    FAILED = 3
    SNOOZED = 4
    #: The task is about to end its own process.
    CRASHING = 5


class Process(NamedTuple):
    """A subworker that has kept a book."""

    host: int
    supervisor: int
    pid: int


class Record(NamedTuple):
    job: int
    at: float
    pid: int
    attempt: int
    event: int
    thread: int


class Execution(NamedTuple):
    """One start, and the end that belongs to it."""

    job: int
    attempt: int
    start: float
    #: None: there is none.
    end: float | None
    event: Event | None
    process: Process
    #: It was under way at the last record of its thread, or this is its end: nobody may have heard
    #: of its result, if the process died then.
    is_exposed: bool

    def __str__(self) -> str:
        host, supervisor, pid = self.process
        end = "no end" if self.end is None else f"{(self.event or Event.OK).name} {self.end:.6f}"
        return (
            f"job {self.job} attempt {self.attempt} START {self.start:.6f} {end}"
            f" pid {pid} of supervisor {supervisor} on host {host}"
        )


class Pen:
    """What the tasks write with."""

    def __init__(self) -> None:
        self._fd = -1
        self._pid = 0

    def open(self) -> None:
        """To be called in each subworker, once it is one."""
        self._pid = os.getpid()
        name = f"{os.environ[HOST]}.{os.getppid()}.{self._pid}.{time.monotonic_ns()}"
        path = Path(os.environ[FOLDER]) / name
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)

    def write(self, job: int, attempt: int, event: Event) -> None:
        thread = threading.current_thread() is not threading.main_thread()
        os.write(
            self._fd, RECORD.pack(job, time.monotonic(), self._pid, attempt, event, int(thread))
        )


class Book:
    """One subworker's file."""

    def __init__(self, path: Path) -> None:
        host, supervisor, pid, _opened = (int(part) for part in path.name.split("."))
        self.process = Process(host, supervisor, pid)
        self._path = path

    def raw(self) -> Iterator[tuple[int, float, int, int, int, int]]:
        """The records as tuples; a torn one at the end, which one write(2) can't leave, counts."""
        return RECORD.iter_unpack(self._path.read_bytes())

    def executions(self) -> list[Execution]:
        """In the order of their ends, those without one last. Raises ValueError for a book in
        which something ends that has not started."""
        running: dict[int, Record] = {}
        found: list[tuple[Record, Record | None]] = []
        last: dict[int, Record] = {}
        for record in map(Record._make, self.raw()):
            last[record.thread] = record
            if record.event == Event.START:
                if record.job in running:
                    raise ValueError(f"job {record.job} started twice at once in {self.process}")
                running[record.job] = record
            elif record.job not in running:
                raise ValueError(f"job {record.job} ended unstarted in {self.process}")
            else:
                found.append((running.pop(record.job), record))
        found += [(record, None) for record in running.values()]
        return [self._execution(start, end, last) for start, end in found]

    def _execution(self, start: Record, end: Record | None, last: dict[int, Record]) -> Execution:
        is_exposed = end is None or last[end.thread] is end
        return Execution(
            start.job, start.attempt, start.at, end.at if end else None,
            Event(end.event) if end else None, self.process, is_exposed,
        )  # fmt: skip


def books(folder: Path) -> list[Book]:
    return [Book(path) for path in sorted(folder.iterdir())]
