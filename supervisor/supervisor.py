"""The supervisor: every step of a job's road on this host, wired together.

Each step takes what it needs and knows none of the others; who calls whom is said here alone.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from itertools import chain

from ..config.settings import Settings
from ..sql.answers import Row
from ..subworkers.wire import Load, Untrusted
from .backlog import Backlog, Line
from .cancelling import Cancelling
from .clock import ServerClock
from .due import Due
from .gather import Gather
from .hearing import hear
from .lapse import Lapse
from .limits import Limits, PerHost
from .member import Member
from .memory import MemoryMeter
from .occupancy import Meter
from .pool import Pool
from .pull import HOPE_SECONDS, Demand
from .recovery import Recovery
from .recycling import Limits as RecyclingLimits
from .recycling import Recycling
from .schedules import Schedules
from .sleep import Sleep
from .source import Origin
from .turn import Turns
from .watch import Watch

log = logging.getLogger("wsup")


class Supervisor:
    """The steps and the state that they share; `run.py` starts and stops them."""

    def __init__(self, settings: Settings, origin: Origin) -> None:
        self.settings = settings
        self.origin = origin
        self.paused = False
        self.stopping = False
        self.source, self.upkeep = origin.open(lambda: self.settings, self)
        self.per_host = self.source.per_host = PerHost(self._rows_here)
        self.pool = Pool(on_report=self._report, on_death=self._died, on_change=self._finished)
        self.clock = ServerClock(lambda: self.pool.members)
        self.gather = Gather(
            on_finished=self._finished,
            on_ready=self._ready,
            on_unfit=self.pool.unfit,
            on_returned=self._returned,
            on_untrusted=self._untrusted,
        )
        self.backlog = Backlog(settings.concurrency, self._hand_out)
        self.recycling = Recycling(lambda: self.pool.current, self.pool.renew)
        self.demand = Demand(self.backlog, settings.batch, settings.concurrency)
        self.lapse = Lapse()
        self.due, self.tokens = Due(self._fall_due), Due(self._fall_due)
        self.turns = Turns(
            self.source,
            self.gather,
            batch=settings.batch,
            batch_bytes=settings.batch_bytes,
            wanted=self.wanted,
            starving=lambda: self.demand.starving(self.pool.current),
            held=self.held,
            ending=self.ending,
            in_doubt=self.lapse.look,
            on_rows=self.bring,
            on_settled=self._settled,
            on_dry=self._dry,
            asleep=lambda: self.sleep.wanted,
            on_passed=self.wake,
            on_due=self.due.expect,
            on_lost=self.lose,
        )
        self.sleep = Sleep(
            self.source,
            poll=settings.poll,
            wanted=self.wanted,
            on_wake=self.turns.go,
            on_due=self.due.expect,
        )
        quiet, members = self.turns.quiet, lambda: self.pool.members
        self.cancelling = Cancelling(self.source, self.gather, quiet, members, self._sift_backlog)
        self.watch = Watch(
            self.backlog.lines,
            read=self.gather.read,
            look=self.gather.look,
            on_surplus=self._surplus,
            stubborn=self.cancelling.stubborn,
        )
        self.recovery = Recovery(self.gather)
        self.schedules = Schedules(self.source, poll=settings.poll, on_lost=self.lose)
        self.limits = Limits(
            self.source, self.per_host, on_change=self._streams_changed, on_lost=self.lose
        )
        self.meter = Meter()
        self.memory = MemoryMeter()
        #: Called with a reason when the database was lost; set by who can reconnect.
        self.on_lost: Callable[[str], None] = lambda _reason: None
        #: Called when there are jobs here, and when another supervisor has said so of itself.
        self.on_busy: Callable[[], None] = lambda: None
        self.on_claimed: Callable[[], None] = lambda: None

    # the road -----------------------------------------------------------------------------------

    def bring(self, rows: list[Row]) -> None:
        """pull → dispatch"""
        self.recovery.pulled(rows)
        rows = self.cancelling.sift(rows)
        before = len(self.backlog)
        is_async = sum(1 for row in rows if self._is_async(row))
        unknown = self.backlog.add(rows)
        self.demand.pulled(len(self.backlog) - before - is_async, is_async)
        self._put_off(unknown)
        if self.stopping:
            self._give_back(self.backlog.take_all())
        else:
            self._hand_out()
        self.on_busy()

    def _finished(self) -> None:
        """execute → gather; or there are more or fewer subworkers, or others."""
        self._hand_out()
        if not self.turns.pulling and self.per_host.has_opened():
            self.wake()
        self.turns.consider()

    def _hand_out(self) -> None:
        if len(self.backlog) and not self.lapse.look():
            self.backlog.hand_out(self.pool.current)

    def sure_again(self, asked_at: int) -> None:
        """The database has said that the jobs here are still ours (see `Lapse.settle`)."""
        self.lapse.settle(asked_at)
        self._hand_out()
        self.turns.consider()

    def _settled(self, jobs: int, seconds: float) -> None:
        """commit → done; the turn has taken so many seconds."""
        self.demand.turned(seconds)
        self.meter.done += jobs
        self.demand.finished(jobs)
        self.cancelling.settled()

    def _returned(self, rows: list[Row]) -> None:
        """A subworker gives back what it has not started."""
        rows = self.cancelling.sift(rows)
        if self.stopping:
            self.gather.give_back(rows)
        else:
            self._put_off(self.backlog.put_back(rows))

    def _sift_backlog(self) -> None:
        """Jobs are to be cancelled; some may lie here."""
        self._put_off(self.backlog.put_back([], self.cancelling.sift))
        self.turns.consider()

    def _died(self, member: Member, end: str) -> None:
        """A death becomes a result, and goes the way of results."""
        unstarted = self.gather.died(member, end, self.pool.tasks)
        self._returned(unstarted)

    def _put_off(self, unknown: list[Row]) -> None:
        for row in unknown:
            self.gather.unknown(row[0], row[1], row[2], row[3])

    def _give_back(self, rows: list[Row]) -> None:
        if rows:
            log.info("%d jobs that can't start here soon are given back", len(rows))
            self.gather.give_back(rows)
            self.turns.consider()

    def _surplus(self, line: Line, calls: int) -> None:
        self._give_back(self.backlog.take_last(line, calls))
        self.demand.gave_back()
        asyncio.get_running_loop().call_later(HOPE_SECONDS, self.turns.consider)

    def _is_async(self, row: Row) -> bool:
        task = self.backlog.tasks.get(row[3])
        return task is not None and task.is_async

    # the subworkers -----------------------------------------------------------------------------

    def _report(self, member: Member) -> None:
        """Its bell has rung."""
        self.gather.read(member)
        self.recycling.count(member)

    def _ready(self, member: Member) -> None:
        self.clock.show(member)
        self.pool.ready(member)

    def _untrusted(self, member: Member, report: Untrusted) -> None:
        self.pool.replace(member, f"after job {report.job}, {report.reason}")

    def wanted(self) -> int:
        """How many jobs could be taken now."""
        return self.demand.wanted(self.pool.current)

    def lose(self, reason: str) -> None:
        """The source was lost."""
        self.on_lost(reason)

    async def load(self, settings: Settings) -> None:
        """Have a new generation take over. Raises AppFailed, with nothing changed."""
        sizes = settings.concurrency, settings.ring_bytes, settings.log_bytes
        await self.pool.start(Load(settings.app, *sizes), settings.subworkers)
        self.settings = settings
        self.backlog.tasks = self.pool.tasks
        self.backlog.concurrency = self.demand.concurrency = settings.concurrency
        self.turns.batch = self.demand.batch = settings.batch
        self.turns.batch_bytes = settings.batch_bytes
        self.watch.kill_grace = settings.kill_grace
        self.recycling.start(RecyclingLimits(settings.max_jobs, settings.max_rss, settings.max_age))
        tasks = list(self.pool.tasks.values())
        named = sorted({"default", *(task.queue for task in tasks)})
        self.turns.queues = self.sleep.queues = settings.queues or tuple(named)
        self.sleep.must_say = True
        self.demand.expect(sum(t.is_async for t in tasks) / len(tasks) if tasks else 0.0)
        if self.pool.generation is not None:
            declared = self.pool.generation
            self.schedules.load(settings.app, declared.schedules, declared.queues)
            self.limits.load(settings.app, declared.limits, self.pool.tasks)
        self.gather.forget_unknown()
        self._put_off(self.backlog.put_back([]))

    def begin_stop(self) -> None:
        """Pull no more, and give back what has not been started."""
        self.stopping = True
        self.turns.pulling = False
        self.sleep.stop()
        self.schedules.stop()
        self.limits.stop()
        self.recycling.stop()
        self._give_back(self.backlog.take_all())

    def held(self) -> int:
        """How many jobs wait or run here."""
        return len(self.backlog) + sum(len(member.held) for member in self.pool.members)

    def ending(self) -> int:
        """How many of them may end soon."""
        return len(self.backlog) + sum(member.ending() for member in self.pool.members)

    def is_asleep(self) -> bool:
        """Does the database know that this one wants to be called?"""
        return self.source.said_asleep and not self.turns.pulling

    # awake and asleep ---------------------------------------------------------------------------

    def wake(self) -> None:
        """There may be something to pull."""
        if not (self.paused or self.stopping):
            self.sleep.wake()

    def hear(self, payload: str) -> None:
        """The source has called."""
        hear(self, payload)

    def _dry(self) -> None:
        """The last pull brought less than was asked for, and nobody has called since it began."""
        self.turns.pulling = False
        self.sleep.begin()

    def _streams_changed(self) -> None:
        self.sleep.must_say = True
        self.wake()

    def _rows_here(self) -> Iterator[Row]:
        """The jobs that run here, or are about to."""
        members = (member.held.values() for member in self.pool.members)
        return chain(self.turns.arriving, self.backlog.claims(), *members)

    def _fall_due(self) -> None:
        self.turns.promote_now = True
        self.wake()

    def set_paused(self, paused: bool) -> None:
        """Pull no more, or go on. What was pulled is finished either way."""
        self.paused = paused
        if paused:
            self.turns.pulling = False
            self.sleep.stop()
        else:
            self.wake()

    @property
    def state(self) -> str:
        return "stopping" if self.stopping else "paused" if self.paused else "running"
