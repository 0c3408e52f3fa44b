"""The jobs that were pulled and are not handed to a subworker yet; and their handing out."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from ..sql.answers import Row
from ..subworkers.wire import TaskInfo
from .member import Member


class Backlog:
    """In the order of the pull: by priority, then age. Sync and async jobs wait apart, because a
    subworker that is busy with a sync job can still take async ones."""

    def __init__(self, concurrency: int) -> None:
        self._sync: deque[Row] = deque()
        self._async: deque[Row] = deque()
        self.concurrency = concurrency
        self.tasks: Mapping[str, TaskInfo] = {}
        #: Jobs handed out, ever; tells whether anything moves.
        self.handed = 0

    def __len__(self) -> int:
        return len(self._sync) + len(self._async)

    def add(self, rows: Iterable[Row]) -> list[Row]:
        """Take pulled jobs in; returns those whose task this app doesn't know."""
        unknown = []
        tasks = self.tasks
        for row in rows:
            task = tasks.get(row[3])
            if task is None:
                unknown.append(row)
            elif task.is_async:
                self._async.append(row)
            else:
                self._sync.append(row)
        return unknown

    def put_back(self, rows: Sequence[Row]) -> list[Row]:
        """Take back, at the head, what a subworker had not started; returns unknown ones."""
        later = [*self._sync, *self._async]
        self._sync.clear()
        self._async.clear()
        return self.add(chain(rows, later))

    def take_all(self) -> list[Row]:
        rows = [*self._sync, *self._async]
        self._sync.clear()
        self._async.clear()
        return rows

    def claims(self) -> Iterable[Row]:
        return chain(self._sync, self._async)

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

    def _hand(self, member: Member, queue: deque[Row], n: int, *, is_async: bool) -> list[Member]:
        """Hand over the next `n` jobs; returns who got any."""
        rows = [queue.popleft() for _ in range(min(n, len(queue)))]
        if not rows:
            return []
        member.hand(rows, is_async=is_async)
        self.handed += len(rows)
        return [member]
