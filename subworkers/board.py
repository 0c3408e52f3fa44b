"""A notice board in shared memory on which a subworker writes what it is running.

Read by the supervisor to show it, to time it, and, once the subworker is dead, to tell the job that
died with it from those that it had not started.
"""

import time
from typing import NamedTuple

#: 8-byte words of a place: job (0: free), attempt, started, deadline (0: none); times in ns on
#: CLOCK_MONOTONIC.
PLACE_WORDS = 4
#: The place of the one sync job; async jobs have the places after it.
SYNC_PLACE = 0


class Running(NamedTuple):
    """A job as the board shows it; times in seconds on `time.monotonic()`."""

    job: int
    attempt: int
    started: float
    deadline: float | None


def board_bytes(places: int) -> int:
    """Bytes that a board with so many places takes, in whole pages."""
    return -(-places * PLACE_WORDS * 8 // 4096) * 4096


class Board:
    def __init__(self, memory: memoryview) -> None:
        self._words = memory.cast("Q")
        self._places = len(self._words) // PLACE_WORDS

    def start(self, place: int, job: int, attempt: int, timeout: float | None) -> float:
        """Say that `job` starts now; returns the time on `time.monotonic()`.

        The job's id is written last, so that a reader never sees a job with another one's times.
        """
        now = time.monotonic_ns()
        words, at = self._words, place * PLACE_WORDS
        words[at + 1] = attempt
        words[at + 2] = now
        words[at + 3] = 0 if timeout is None else now + int(timeout * 1e9)
        words[at] = job
        return now / 1e9

    def clear(self, place: int) -> None:
        """Say that the job is over; only after its result lies in the ring."""
        self._words[place * PLACE_WORDS] = 0

    def running(self) -> list[Running]:
        """What runs now."""
        words = self._words
        found = []
        for at in range(0, self._places * PLACE_WORDS, PLACE_WORDS):
            job = words[at]
            if job:
                deadline = words[at + 3]
                running = Running(
                    job, words[at + 1], words[at + 2] / 1e9, deadline / 1e9 if deadline else None
                )
                if words[at] == job:
                    found.append(running)
        return found

    def sync_since(self) -> float | None:
        """Since when the sync job has been running; None if there is none."""
        return self._words[2] / 1e9 if self._words[SYNC_PLACE] else None
