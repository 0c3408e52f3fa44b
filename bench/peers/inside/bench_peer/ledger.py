"""The ledger: what has happened to each job of a run, in a file that all processes have mapped.

The tasks themselves write into it, so that every system's jobs are timed alike, and the harness
learns that they have run without asking the database. There are four columns of 64-bit numbers,
one after the other, with a line for each job; times are CLOCK_MONOTONIC in nanoseconds, which is
one clock for all processes of a host, and 0 means: not yet.
"""

from __future__ import annotations

import mmap
from pathlib import Path

_COLUMNS = 4
_BYTES = 8


class Ledger:
    """The ledger at `path`, which `Ledger.make` has made."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        numbers = memoryview(self._memory).cast("Q")
        #: The most jobs that it has room for.
        self.size = len(numbers) // _COLUMNS
        columns = [numbers[i * self.size : (i + 1) * self.size] for i in range(_COLUMNS)]
        #: When the enqueue of the job was called, and when it returned; where these are looked at.
        self.called, self.returned = columns[:2]
        #: When the task began, the first time …
        self.started = columns[2]
        #: … and how often it did. (Two at the very same moment may count as one.)
        self.runs = columns[3]

    @classmethod
    def make(cls, path: Path, jobs: int) -> Ledger:
        """A new one, with no line written."""
        with path.open("wb") as file:
            file.truncate(jobs * _COLUMNS * _BYTES)
        return cls(path)
