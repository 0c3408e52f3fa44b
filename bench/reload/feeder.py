"""Keeps the backlog from running dry, as one process that enqueues all the time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from ..errors import BenchError
from ..statements import statement
from .app import counted

if TYPE_CHECKING:
    from types import TracebackType

    from ..server import Server

#: Jobs in one `enqueue_many`: few, so that no second gets much more of them than another.
CHUNK = 2_000
#: Seconds between two looks at a backlog that is deep enough.
LOOK_AGAIN = 0.02
#: Seconds for the first filling, and for the last `enqueue_many`.
PATIENCE = 120.0


class Feeder:
    """`with Feeder(server, database, depth) as feeder:` has `depth` jobs ready, all the time."""

    def __init__(self, server: Server, database: str, depth: int) -> None:
        self._connection = server.connect(database)
        self._depth = depth
        self._enough = threading.Event()
        self._full = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run)
        #: Job ids by number: the number is the job's argument.
        self.jobs: list[int] = []
        #: The fewest jobs that were seen ahead, once it was full.
        self.least = depth

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            if not self._full.wait(PATIENCE):
                raise BenchError(f"{self._depth} jobs were not enqueued within {PATIENCE:g} s")
            self.check()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Enqueue no more."""
        self._enough.set()
        self._thread.join(PATIENCE)
        self._connection.close()

    def check(self) -> None:
        """Raise what has ended it."""
        if self._error is not None:
            raise BenchError(f"no more jobs could be enqueued: {self._error}") from self._error

    def _run(self) -> None:
        try:
            while not self._enough.is_set():
                ahead = self._ahead()
                if self._full.is_set():
                    self.least = min(self.least, ahead)
                if ahead < self._depth:
                    self._enqueue()
                else:
                    self._full.set()
                    self._enough.wait(LOOK_AGAIN)
        except Exception as error:
            self._error = error
            self._full.set()

    def _ahead(self) -> int:
        """Jobs that were not pulled yet: they are run in the order of their ids."""
        row = self._connection.execute(statement("last_outcome")).fetchone()
        last = row[0] if row else None
        return len(self.jobs) if last is None else max(0, self.jobs[-1] - last)

    def _enqueue(self) -> None:
        first = len(self.jobs)
        made = counted.enqueue_many([(number,) for number in range(first, first + CHUNK)])
        self.jobs.extend(job.id for job in made)
