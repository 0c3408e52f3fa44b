"""How many jobs to pull: what the subworkers can take now, and what they will take meanwhile."""

import time
from collections.abc import Sequence

from .backlog import Backlog
from .member import Member, State

#: How many turns' worth of work to hold beyond what was handed out: while one is under way, the
#: next results are already waiting for another.
LOOKAHEAD_TURNS = 2
#: Seconds of work to hold at least, and at most, however slow the turns are.
LOOKAHEAD_LEAST, LOOKAHEAD_MOST = 0.02, 0.5
#: What a slow turn still counts for at the next one: a disk that has stalled will do so again.
_TURN_DECAY = 0.95
#: Seconds without a turn after which the rate says nothing about the jobs that come.
RATE_SECONDS = 0.5
#: Seconds until one more job is asked for in the hope that it is async, after one that was not was
#: given back: others are to have it meanwhile.
HOPE_SECONDS = 5.0
#: How many jobs of earlier pulls a pull is weighed against, in the share of async jobs.
_EARLIER_JOBS = 20


class Demand:
    """Demand drives the pull. It starts small and grows with the measured rate: many tiny jobs
    are pulled by the batch, long ones by the free subworker, and other hosts get their share."""

    def __init__(self, backlog: Backlog, batch: int, concurrency: int) -> None:
        self._backlog = backlog
        self.batch = batch
        self.concurrency = concurrency
        self._async_share = 0.0
        self._has_async = False
        self._no_hope_until = 0.0
        self._rate = 0.0
        self._turn_seconds = 0.0
        self._since = time.monotonic()

    def expect(self, async_share: float) -> None:
        """What share of the app's tasks is async. How many jobs are, if not all, the first pulls
        will tell."""
        self._has_async = async_share > 0
        self._async_share = float(async_share == 1)

    def finished(self, jobs: int) -> None:
        """Learn the rate from the jobs that finished since the last call."""
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        weight = min(1.0, seconds / 0.1)
        self._rate += weight * (jobs / max(seconds, 1e-6) - self._rate)

    def turned(self, seconds: float) -> None:
        """Learn how long turns take, at worst."""
        self._turn_seconds = max(seconds, self._turn_seconds * _TURN_DECAY)

    def pulled(self, sync_jobs: int, async_jobs: int) -> None:
        """Learn what kind of jobs there are."""
        if total := sync_jobs + async_jobs:
            weight = total / (total + _EARLIER_JOBS)
            self._async_share += weight * (async_jobs / total - self._async_share)

    def gave_back(self) -> None:
        """Of what was asked for, some could not be begun here."""
        self._no_hope_until = time.monotonic() + HOPE_SECONDS

    def wanted(self, members: Sequence[Member]) -> int:
        """How many jobs the next pull should bring; 0 for no pull."""
        room = sum(member.room() for member in members)
        now = time.monotonic()
        if self._has_async:
            free = sum(member.room_async(self.concurrency) for member in members)
            # While all do sync jobs, the next one may be async: that could begin.
            hoped_for = 1 if now >= self._no_hope_until else 0
            room += min(free, max(hoped_for, int(free * self._async_share)))
        if not members:
            return 0
        seconds = max(LOOKAHEAD_LEAST, LOOKAHEAD_TURNS * self._turn_seconds)
        rate = self._rate if now - self._since < RATE_SECONDS else 0.0
        ahead = int(rate * min(LOOKAHEAD_MOST, seconds))
        backlog = self._backlog
        # Room is counted in calls, work ahead in jobs. A batch that is begun is to be filled, by
        # pulls that bring as many of its kind as the last one.
        ahead = max(0, ahead - backlog.beyond)
        fill = int(backlog.missing * backlog.batch_share)
        return max(0, min(self.batch, room + ahead + fill - backlog.calls))

    def starving(self, members: Sequence[Member]) -> bool:
        """Is a subworker without work, and none here to give it?"""
        return not self._backlog.calls and any(
            not member.held for member in members if member.state is State.READY
        )
