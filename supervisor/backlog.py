"""The jobs that were pulled and are not handed to a subworker yet; and their handing out."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import cast

from ..sql.answers import Row
from ..subworkers.wire import TaskInfo
from .batches import Batch, Batches
from .member import Member


class Line(deque["Row | Batch"]):
    """Calls in the order in which they are to be handed out."""

    def __init__(self) -> None:
        super().__init__()
        #: How many were handed out, ever.
        self.handed = 0


class Backlog:
    """In the order of the pull: by priority, then age. Sync and async jobs wait apart, because a
    subworker that is busy with a sync job can still take async ones. Jobs of a batch task stand in
    line as a batch, from when it is full or due."""

    def __init__(self, concurrency: int, on_due: Callable[[], None] = lambda: None) -> None:
        self._sync, self._async = self.lines = Line(), Line()
        self._batches = Batches(self._due)
        self._on_due = on_due
        #: Jobs in batches, and batches in line.
        self._batched = self._queued = 0
        #: Which share of the jobs that were added last is of batch tasks.
        self.batch_share = 0.0
        self.concurrency = concurrency
        self.tasks: Mapping[str, TaskInfo] = {}

    def __len__(self) -> int:
        return self.calls + self.beyond

    @property
    def calls(self) -> int:
        """What stands in line: jobs, and batches that are each one call."""
        return len(self._sync) + len(self._async)

    @property
    def beyond(self) -> int:
        """How many jobs there are besides, in batches."""
        return self._batched - self._queued

    @property
    def missing(self) -> int:
        """How many more jobs the batches could take that are being gathered."""
        return self._batches.missing if self._batched else 0

    def add(self, rows: Iterable[Row]) -> list[Row]:
        """Take pulled jobs in; returns those whose task this app doesn't know."""
        jobs, batched = len(self), self._batched
        unknown = self._add(rows)
        self.batch_share = (self._batched - batched) / max(1, len(self) - jobs)
        return unknown

    def _add(self, rows: Iterable[Row]) -> list[Row]:
        unknown = []
        tasks = self.tasks
        for row in rows:
            task = tasks.get(row[3])
            if task is None:
                unknown.append(row)
            elif task.batch:
                self._batched += 1
                if batch := self._batches.add(row, task):
                    self._queue(batch)
            elif task.is_async:
                self._async.append(row)
            else:
                self._sync.append(row)
        return unknown

    def _queue(self, batch: Batch) -> None:
        batch.queued = True
        self._queued += 1
        (self._async if batch.is_async else self._sync).append(batch)

    def _due(self, batch: Batch) -> None:
        self._queue(batch)
        self._on_due()

    def put_back(
        self, rows: Sequence[Row], sift: Callable[[list[Row]], list[Row]] | None = None
    ) -> list[Row]:
        """Take back, at the head, what a subworker had not started; returns unknown ones.

        Of the jobs that are here, those stay that `sift` leaves.
        """
        if self._batched or any(self._is_batched(row) for row in rows):
            # Who has waited once doesn't so again.
            dues = {batch.task: batch.due for batch in self._all_batches()}
            self._batches.remember(dues | {row[3]: 0.0 for row in rows})
        later = self.take_all()
        unknown = self._add(chain(rows, sift(later) if sift else later))
        self._batches.remember({})
        return unknown

    def _is_batched(self, row: Row) -> bool:
        task = self.tasks.get(row[3])
        return task is not None and task.batch > 0

    def take_all(self) -> list[Row]:
        rows = list(self.claims())
        for batch in self._all_batches():
            self._batches.close(batch)
        self._sync.clear()
        self._async.clear()
        self._batched = self._queued = 0
        return rows

    def claims(self) -> Iterator[Row]:
        """All jobs, wherever they wait."""
        for entry in chain(self._sync, self._async, self._batches.gathering()):
            if isinstance(entry, Batch):
                yield from entry.rows
            else:
                yield entry

    def take_last(self, line: Line, calls: int) -> list[Row]:
        """Take the last calls of a line."""
        last = [line.pop() for _ in range(calls)]
        rows = []
        for entry in reversed(last):
            if isinstance(entry, Batch):
                self._leave(entry)
                rows += entry.rows
            else:
                rows.append(entry)
        return rows

    def _leave(self, batch: Batch) -> None:
        """It has left its line."""
        self._batches.close(batch)
        self._queued -= 1
        self._batched -= len(batch.rows)

    def _all_batches(self) -> list[Batch]:
        line = chain(self._sync, self._async) if self._queued else ()
        return [
            *(entry for entry in line if isinstance(entry, Batch)),
            *self._batches.gathering(),
        ]

    def hand_out(self, members: Sequence[Member]) -> None:
        """Give every subworker with room its share, the emptiest first."""
        handed: list[Member] = []
        if self._sync:
            open_ones = [member for member in members if member.room() > 0]
            open_ones.sort(key=lambda member: len(member.held))
            for left, member in zip(range(len(open_ones), 0, -1), open_ones, strict=True):
                # An even share, so that a few jobs spread over all instead of piling up on one.
                n = min(member.room(), -(-len(self._sync) // left))
                handed += self._hand(member, self._sync, n, is_async=False)
        if self._async:
            for left, member in zip(range(len(members), 0, -1), members, strict=True):
                n = min(member.room_async(self.concurrency), -(-len(self._async) // left))
                handed += self._hand(member, self._async, n, is_async=True)
        for member in handed:
            member.ring_bell()

    def _hand(self, member: Member, line: Line, n: int, *, is_async: bool) -> list[Member]:
        """Hand over the next `n` calls, up to the first batch; returns who got any."""
        n = max(0, min(n, len(line)))
        batch = self._next_batch(line, n) if self._queued else None
        if batch is not None:
            n = line.index(batch)
        rows = cast("list[Row]", [line.popleft() for _ in range(n)])
        if rows:
            member.hand(rows, is_async=is_async)
        line.handed += n
        if batch is not None:
            line.popleft()
            line.handed += 1
            self._leave(batch)
            member.hand_batch(batch.rows, is_async=is_async)
        return [member] if rows or batch else []

    def _next_batch(self, line: Line, n: int) -> Batch | None:
        """The first batch among the next `n` in line."""
        return next((entry for entry in islice(line, n) if isinstance(entry, Batch)), None)
