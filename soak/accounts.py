"""What was asked for: the fate of each transaction that enqueued jobs, as its writer knows it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from .fates import Fate
from .requests import Requests

if TYPE_CHECKING:
    from collections.abc import Sequence


class Accounts:
    """The last word on each job id counts: after an immediate stop the server gives ids that were
    rolled back, and never reached the disk, to somebody else."""

    def __init__(self) -> None:
        self._fates = bytearray()
        self._lock = threading.Lock()
        #: The transactions of unknown fate: each is there as a whole, or not at all.
        self.unknown: list[list[int]] = []
        #: What goes beyond plain jobs.
        self.requests = Requests()
        self.enqueued = 0
        self.rolled_back = 0

    def note(self, jobs: Sequence[int], fate: Fate) -> None:
        if not jobs:
            return
        with self._lock:
            short = max(jobs) + 1 - len(self._fates)
            if short > 0:
                self._fates.extend(bytes(short))
            for job in jobs:
                self._fates[job] = fate
            if fate is Fate.COMMITTED:
                self.enqueued += len(jobs)
            elif fate is Fate.ROLLED_BACK:
                self.rolled_back += len(jobs)
            else:
                self.unknown.append(list(jobs))

    @property
    def top(self) -> int:
        """The largest id that was given out to anybody here."""
        return len(self._fates) - 1

    def fate(self, job: int) -> Fate:
        return Fate(self._fates[job]) if job < len(self._fates) else Fate.NEVER

    def all(self, fate: Fate) -> list[int]:
        """The jobs whose transactions have that fate."""
        return [job for job, found in enumerate(self._fates) if found == fate]
