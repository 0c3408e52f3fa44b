"""What happens by the clock: signs of life, looks at the others and at the subworkers."""

import asyncio
import os
import time
from typing import TYPE_CHECKING

from ..config.errors import DatabaseError
from ..sql.answers import Beat, SourceLost
from .link import Link
from .watchdog import Watchdog

if TYPE_CHECKING:
    from .supervisor import Supervisor

#: Seconds between signs of life, while there is work anywhere. At each, the others are looked at:
#: with the second that a dead one's lock must have been free, its jobs are back within two.
BEAT_SECONDS = 0.8
#: The same of who has nothing else to do but to watch the others: the earlier it begins to count
#: that second, the more is left of the two for a machine that is slow.
WATCH_SECONDS = 0.6
#: Seconds between looks at the subworkers, while they have jobs and while they have none.
TICK_BUSY, TICK_IDLE = 0.05, 0.8


class Pulse:
    def __init__(
        self,
        supervisor: "Supervisor",
        link: Link,
        watchdog: Watchdog,
        watchdog_seconds: float | None = None,
    ) -> None:
        self._supervisor = supervisor
        self._link = link
        self._watchdog = watchdog
        #: Seconds between two samples.
        self._every = min(TICK_IDLE, watchdog_seconds or TICK_IDLE)
        supervisor.on_busy = self._busy
        supervisor.on_claimed = self._heed
        self._first_tick = time.monotonic()
        self._last_beat = 0.0
        #: Ends the pause between two looks at the clock.
        self._stir = asyncio.Event()
        supervisor.lapse.on_doubt = self._stir.set
        #: Loops in a long pause.
        self._dozing = 0
        #: The others know that there are claims here, which they must watch.
        self._told = False
        self._heeded = False
        #: The last beat came after the word that this one sleeps: of claims made since, it is told.
        self._beaten_asleep = False
        self._claimed_elsewhere = True

    async def run(self) -> None:
        """Look after this host. This never waits for the database, so that time-outs strike and
        the watchdog hears of us however long that takes to answer."""
        supervisor = self._supervisor
        next_sample = 0.0
        while True:
            busy = supervisor.held() > 0
            if busy:
                supervisor.watch.look(supervisor.pool.members)
            supervisor.lapse.look()
            now = time.monotonic()
            if now >= next_sample:
                next_sample = now + self._every - TICK_BUSY  # the next tick may come a little early
                self._sample()
            await self._doze(TICK_BUSY if busy else self._next_tick())

    async def beat(self) -> None:
        """Give signs of life to the others, and act on what they bring back."""
        supervisor = self._supervisor
        while True:
            is_whole = self._link.is_whole()
            if is_whole or supervisor.source.connected:
                await self._beat_if_due(act=is_whole)
            await self._doze(self._until_beat())

    def _until_beat(self) -> float:
        """Seconds until it may be due."""
        supervisor = self._supervisor
        if supervisor.held() > 0:
            return TICK_BUSY
        if not supervisor.source.connected:
            return self._next_tick()
        due_in = self._next_beat() - time.monotonic()
        return min(self._next_tick(), max(TICK_BUSY, due_in))

    def _next_tick(self) -> float:
        """Seconds until both loops look again. At the same time, so that the process wakes up once:
        what it pays for is less what it does then than that its caches have grown cold."""
        tick = self._every
        left = tick - (time.monotonic() - self._first_tick) % tick
        return left if left > TICK_BUSY else left + tick  # a timer may be a little early

    async def _doze(self, seconds: float) -> None:
        deep = seconds > TICK_BUSY
        self._dozing += deep
        self._stir.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._stir.wait()
        except TimeoutError:
            pass
        finally:
            self._dozing -= deep

    def _busy(self) -> None:
        """Jobs have come: if there were none before, the others are to know at once."""
        if self._dozing:
            self._stir.set()

    def _heed(self) -> None:
        """Another one has claims now: should it die, that must be seen soon."""
        self._claimed_elsewhere = self._heeded = True
        self._stir.set()

    def _next_beat(self) -> float:
        """When it is due, on the monotonic clock."""
        supervisor = self._supervisor
        busy = supervisor.held() > 0
        calm = not (busy or self._claimed_elsewhere or supervisor.gather.finished)
        slow = calm and self._beaten_asleep
        idle = min(supervisor.settings.poll, supervisor.source.longest_silence)
        due = self._last_beat + (idle if slow else BEAT_SECONDS if busy else WATCH_SECONDS)
        return min(due, supervisor.upkeep.next_verdict)

    def _sample(self) -> None:
        supervisor = self._supervisor
        members = supervisor.pool.current
        supervisor.meter.sample(sum(1 for m in members if m.held), len(members))
        reap_strangers({m.pid for m in supervisor.pool.members})
        self._watchdog.look()

    async def _beat_if_due(self, *, act: bool) -> None:
        supervisor = self._supervisor
        now, busy = time.monotonic(), supervisor.held() > 0
        tell = busy and not self._told
        if not tell and not supervisor.lapse.doubtful and self._next_beat() > now:
            return
        self._last_beat = now
        asleep = supervisor.is_asleep()
        self._heeded = False  # what is heard from now on, the beat may have been too early to see
        asked_at = supervisor.lapse.count
        try:
            beat = await self._beat(tell=tell)
            supervisor.clock.tell(beat.server_time, now, time.monotonic())
            self._told = busy
            self._beaten_asleep = asleep
            if act:
                await self._act(beat, asked_at)
        except (DatabaseError, SourceLost) as error:
            self._link.lost(str(error))

    async def _beat(self, *, tell: bool = False) -> Beat:
        supervisor = self._supervisor
        turns = supervisor.turns
        return await supervisor.source.beat(
            # Who pulls needn't be told that something is ready, nor wade through dead rows for it.
            queues=[] if turns.pulling else list(turns.queues),
            jobs_done=supervisor.meter.done,
            memory=supervisor.memory.sample(self._pids()),
            occupancy=supervisor.meter.occupancy.values,
            tell=tell,
        )

    async def _act(self, beat: Beat, asked_at: int) -> None:
        supervisor = self._supervisor
        self._claimed_elsewhere = beat.claimed or self._heeded
        if not beat.alive:
            await self._link.rise_again()
            return
        if supervisor.lapse.doubtful:
            supervisor.sure_again(asked_at)
        if await supervisor.upkeep.look_after(beat):
            supervisor.wake()
        await self._link.compare_if_due()
        supervisor.due.expect(beat.next_due)
        if beat.cancelling:
            supervisor.cancelling.hear()
        if beat.ready and not supervisor.turns.pulling:
            supervisor.wake()

    def _pids(self) -> list[int]:
        supervisor = self._supervisor
        generation = supervisor.pool.generation
        pids = [os.getpid(), *(m.pid for m in supervisor.pool.members if m.pid)]
        return [*pids, generation.pid] if generation and generation.pid else pids


def reap_strangers(ours: set[int | None]) -> None:
    """Reap what was orphaned below us and isn't a subworker: daemons that a task has started."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in ours:
            return
        try:
            os.waitpid(ended.si_pid, os.WNOHANG)
        except ChildProcessError:
            return
