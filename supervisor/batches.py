"""Jobs of batch tasks, gathered for one call: until there are enough of them, or time is up."""

import asyncio
import time
from collections.abc import Callable, Iterable

from ..sql.answers import Row
from ..subworkers.wire import TaskInfo


class Batch:
    """Jobs for one call. More are added until it is full or handed out."""

    __slots__ = ("due", "is_async", "most", "queued", "rows", "task", "timer")

    def __init__(self, task: TaskInfo, due: float) -> None:
        self.task = task.name
        self.is_async = task.is_async
        self.most = task.batch
        self.rows: list[Row] = []
        #: When it is to be handed out even if it isn't full, on `time.monotonic()`.
        self.due = due
        #: It stands in line for a subworker.
        self.queued = False
        self.timer: asyncio.TimerHandle | None = None


class Batches:
    """The batches of a backlog that can take more jobs: at most one a task."""

    def __init__(self, on_due: Callable[[Batch], None]) -> None:
        self._open: dict[str, Batch] = {}
        self._on_due = on_due
        #: When the next batch of a task is due, where an earlier one's jobs come back.
        self._dues: dict[str, float] = {}

    @property
    def missing(self) -> int:
        """How many more jobs they could take."""
        return sum(batch.most - len(batch.rows) for batch in self._open.values())

    def gathering(self) -> Iterable[Batch]:
        """Those that don't stand in line yet."""
        return [batch for batch in self._open.values() if not batch.queued]

    def add(self, row: Row, task: TaskInfo) -> Batch | None:
        """Add a job; returns its batch if that is now to be put in line."""
        batch = self._open.get(task.name)
        if batch is None:
            batch = self._begin(task)
        batch.rows.append(row)
        if len(batch.rows) >= batch.most:
            self.close(batch)
        elif batch.timer is not None:
            return None
        return None if batch.queued else batch

    def _begin(self, task: TaskInfo) -> Batch:
        now = time.monotonic()
        batch = Batch(task, self._dues.pop(task.name, now + task.batch_wait))
        self._open[task.name] = batch
        if batch.due > now:
            loop = asyncio.get_running_loop()
            batch.timer = loop.call_later(batch.due - now, self._ring, batch)
        return batch

    def _ring(self, batch: Batch) -> None:
        batch.timer = None
        self._on_due(batch)

    def close(self, batch: Batch) -> None:
        """It takes no more jobs."""
        if batch.timer is not None:
            batch.timer.cancel()
            batch.timer = None
        if self._open.get(batch.task) is batch:
            del self._open[batch.task]

    def remember(self, dues: dict[str, float]) -> None:
        """The next batches of these tasks are due at these times, however late they begin."""
        self._dues = dues
