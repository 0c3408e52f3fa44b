"""A notice board in shared memory on which a subworker writes what it is running.

Read by the supervisor to show it, to time it, and, once the subworker is dead, to tell the job that
died with it from those that it had not started. On its last line the supervisor writes what the
server's clock says, for jobs that have a time until which they may start or go on.
"""

import time
from typing import NamedTuple

#: 8-byte words of a place: job (0: free), attempt and doubt, started, deadline (0: none), times in
#: ns on CLOCK_MONOTONIC; how many notes were ever left there (see `slate.py`). A cache line. Of the
#: first place, two more: how many bytes of each output file were taken (see `output.py`).
PLACE_WORDS = 8
#: At the end: by how much the server's clock is ahead of ours in ns (0: unknown), and nothing.
CLOCK_WORDS = PLACE_WORDS
#: The place of the one sync job; async jobs have the places after it.
SYNC_PLACE = 0
#: Beside the attempt: the job may be over, by a commit of its task's own.
_DOUBT = 1 << 32


class Running(NamedTuple):
    """A job as the board shows it; times in seconds on `time.monotonic()`."""

    job: int
    attempt: int
    started: float
    deadline: float | None
    #: Where, and how many notes were ever left there.
    place: int
    notes: int
    #: It may be over already, by a commit of its task's own: only the database knows.
    in_doubt: bool = False


def board_bytes(places: int) -> int:
    """Bytes that a board with so many places takes, in whole pages."""
    return -(-(places * PLACE_WORDS + CLOCK_WORDS) * 8 // 4096) * 4096


class Board:
    def __init__(self, memory: memoryview) -> None:
        self._words = memory.cast("Q")
        self._clock = len(self._words) - CLOCK_WORDS

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

    def count_note(self, place: int) -> None:
        """Say that a note lies at this place; only after it does."""
        self._words[place * PLACE_WORDS + 4] += 1

    def notes(self, place: int) -> int:
        """How many notes were ever left at this place."""
        return self._words[place * PLACE_WORDS + 4]

    def output_taken(self, file: int) -> int:
        """How many bytes of output file 0 or 1 were taken."""
        return self._words[5 + file]

    def take_output(self, file: int, end: int) -> None:
        """Say that an output file was taken up to there."""
        self._words[5 + file] = end

    def find(self, job: int) -> tuple[int, float]:
        """The place of a job that runs, and since when it does, on `time.monotonic()`."""
        places = range(0, self._clock, PLACE_WORDS)
        at = next(at for at in places if self._words[at] == job)
        return at // PLACE_WORDS, self._words[at + 2] / 1e9

    def doubt(self, place: int, in_doubt: bool) -> None:
        """Say that the job may be over before its result is told, or no longer so."""
        attempt = self._words[place * PLACE_WORDS + 1] & (_DOUBT - 1)
        self._words[place * PLACE_WORDS + 1] = attempt | (_DOUBT if in_doubt else 0)

    def clear(self, place: int) -> None:
        """Say that the job is over; only after its result lies in the ring."""
        self._words[place * PLACE_WORDS] = 0

    def running(self) -> list[Running]:
        """What runs now."""
        words = self._words
        found = []
        for at in range(0, self._clock, PLACE_WORDS):
            job = words[at]
            if job:
                deadline = words[at + 3]
                attempt = words[at + 1]
                running = Running(
                    job,
                    attempt & (_DOUBT - 1),
                    words[at + 2] / 1e9,
                    deadline / 1e9 if deadline else None,
                    at // PLACE_WORDS,
                    words[at + 4],
                    attempt >= _DOUBT,
                )
                if words[at] == job:
                    found.append(running)
        return found

    def sync_since(self) -> float | None:
        """Since when the sync job has been running; None if there is none."""
        return self._words[2] / 1e9 if self._words[SYNC_PLACE] else None

    # the server's clock -------------------------------------------------------------------------

    def set_clock(self, ahead: int) -> None:
        """Its seconds since 1970 are those of `time.monotonic()` and so many nanoseconds."""
        self._words[self._clock] = ahead

    def server_time(self) -> float | None:
        """What the server's clock says, in seconds since 1970; None if that is not known."""
        ahead = self._words[self._clock]
        return (time.monotonic_ns() + ahead) / 1e9 if ahead else None
