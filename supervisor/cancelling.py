"""Jobs that somebody wants cancelled: found wherever they are on this host, and ended there.

The database has the requests; this one is told that there are some, or finds out at a beat. Until a
job has left its claim, what is said of it here is known to be its end: no retry, no giving back.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence

from ..sql.answers import CancelRequest, Row, SourceLost
from ..subworkers.board import Running
from .gather import Gather, cancelled
from .member import Member
from .source import Source

log = logging.getLogger("wsup.cancelling")


class Cancelling:
    def __init__(
        self,
        source: Source,
        gather: Gather,
        quiet: asyncio.Lock,
        members: Callable[[], Sequence[Member]],
        on_asked: Callable[[], None],
    ) -> None:
        self._source = source
        self._gather = gather
        #: Held while no turn is under way: what that brings would be missed.
        self._quiet = quiet
        self._members = members
        self._on_asked = on_asked
        #: By claim and job: the request, and when the subworker was told, on `time.monotonic()`.
        self._told: dict[tuple[int, int], tuple[CancelRequest, float]] = {}
        self._again = False
        self._task: asyncio.Task[None] | None = None

    def hear(self) -> None:
        """There are requests. Idempotent."""
        self._again = True
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._again:
                self._again = False
                async with self._quiet:
                    self._obey(await self._source.cancelling())
        except SourceLost as error:
            log.debug("while looking for requests, which the next beat will find: %s", error)
        finally:
            self._task = None

    def _obey(self, requests: Iterable[CancelRequest]) -> None:
        """These are all that are asked of this host now."""
        now = time.monotonic()
        before, self._told = self._told, {}
        fresh = []
        for request in requests:
            pair = request.claim, request.job
            known = before.get(pair)
            if known is None or known[0] != request:
                known = request, now
                fresh.append(pair)
            self._told[pair] = known
        self._gather.cancel(self._told.keys())
        if fresh:
            self._on_asked()
            for claim, job in fresh:
                for member in self._members():
                    if member.holds(claim, job):
                        member.cancel(claim, job)
                log.debug("job %d is to be cancelled", job)

    def sift(self, rows: list[Row]) -> list[Row]:
        """Leave out, and end, what is to be cancelled, of jobs that nobody has started."""
        if not self._told:
            return rows
        for row in rows:
            if (row[0], row[1]) in self._told:
                self._gather.finished.append(cancelled(*row[:3]))
        return [row for row in rows if (row[0], row[1]) not in self._told]

    def settled(self) -> None:
        """A turn has gone through. If one of the jobs has ended, its request is to be removed."""
        for claim, job in self._told:
            if not any(member.holds(claim, job) for member in self._members()):
                self.hear()
                return

    def stubborn(self, member: Member, running: Iterable[Running], since: float) -> set[int]:
        """The jobs that were to be killed if need be, were told before `since`, and still run."""
        if not self._told:
            return set()
        jobs = {running.job for running in running}
        return {
            request.job
            for request, at in self._told.values()
            if request.kill and at < since and request.job in jobs
            if member.holds(request.claim, request.job)
        }

    def forget(self) -> None:
        """Nothing that was here is this host's any more."""
        self._told = {}
        self._gather.cancel(frozenset())
