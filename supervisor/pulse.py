"""What happens by the clock: signs of life, looks at the others, reconnecting."""

import asyncio
import logging
import os
import socket
import time
from typing import TYPE_CHECKING, Any

import psycopg

from ..config.errors import DatabaseError
from ..sql.answers import Beat, SourceLost
from .watchdog import Watchdog

if TYPE_CHECKING:
    from .supervisor import Supervisor

log = logging.getLogger("wsup.pulse")

#: Seconds between signs of life, while there is work anywhere. At each, the others are looked at:
#: with the second that a dead one's lock must have been free, its jobs are back within two.
BEAT_SECONDS = 0.8
#: Seconds between looks at the subworkers, while they have jobs and while they have none.
TICK_BUSY, TICK_IDLE = 0.05, 0.8
#: Seconds between tries to reconnect: doubling from first to last, which must be well below the
#: time after which the first one back may judge the others (WITNESS_SECONDS).
RECONNECT_FIRST, RECONNECT_LAST = 0.1, 2.0
#: Beats between two comparisons of the claims, and how many beats in a row follow a lost
#: connection: an old backend may commit after we have reconnected.
COMPARE_EVERY, COMPARE_AFTER_LOSS = 10, 5


class Pulse:
    def __init__(
        self, supervisor: "Supervisor", watchdog: Watchdog, watchdog_seconds: float | None = None
    ) -> None:
        self._supervisor = supervisor
        self._watchdog = watchdog
        #: Seconds between two samples.
        self._every = min(TICK_IDLE, watchdog_seconds or TICK_IDLE)
        supervisor.on_lost = self._lost
        self._reconnecting: asyncio.Task[None] | None = None
        supervisor.on_busy = self._busy
        supervisor.on_claimed = self._heed
        self._last_beat = 0.0
        #: Ends the pause between two looks at the clock.
        self._stir = asyncio.Event()
        #: Loops in a long pause.
        self._dozing = 0
        #: The others know that there are claims here, which they must watch.
        self._told = False
        self._heeded = False
        #: The last beat came after the word that this one sleeps: of claims made since, it is told.
        self._beaten_asleep = False
        self._compare_in = COMPARE_EVERY
        self._claimed_elsewhere = True
        self._registered = False

    async def connect(self, first: dict[str, Any] | None = None) -> None:
        """Connect or reconnect both connections, and find out where we stand.

        `first` is what the pid file said of a predecessor, which is certainly dead. Raises
        DatabaseError, SourceLost, psycopg.Error.
        """
        supervisor = self._supervisor
        source = supervisor.source
        await source.connect()
        if first is not None:
            await self._bury_predecessor(first)
        if not self._registered:
            await source.register(**supervisor.columns)
            self._registered = True
            log.info("registered as supervisor %d", source.supervisor)
        supervisor.witness.reconnected()
        if first is None and not (await self._beat()).alive:
            await self._rise_again()  # before anything is pulled in the name of the dead
        else:
            await supervisor.listener.connect(source.supervisor)
        if first is None:
            await self._compare(after_loss=True)
            self._compare_in = 1 - COMPARE_AFTER_LOSS

    async def _bury_predecessor(self, left: dict[str, Any]) -> None:
        """Whoever wrote the pid file is dead, or its lock would not be free: no need to wait."""
        source = self._supervisor.source
        match left:
            case {"supervisor": int(dead), "pid": int(pid)}:
                if await source.predecessor(dead, socket.gethostname(), pid):
                    jobs = await source.rescue(dead, self._supervisor.settings.max_lost)
                    log.warning("supervisor %d was killed here; its %d jobs run again", dead, jobs)

    async def leave(self) -> None:
        """Say goodbye. What can't be said is found out by the others."""
        supervisor = self._supervisor
        try:
            await supervisor.source.leave()
        except SourceLost as error:
            log.warning("could not sign off: %s", error)
        await supervisor.lanes.stop()
        await supervisor.listener.close()
        await supervisor.source.close()

    # lost and found -----------------------------------------------------------------------------

    def _lost(self, reason: str) -> None:
        if self._reconnecting is None and not self._supervisor.stopping:
            log.warning("the database is lost: %s", reason)
            self._reconnecting = asyncio.get_running_loop().create_task(self._reconnect())

    async def _reconnect(self) -> None:
        """Try until it works; results wait meanwhile, and nothing more is handed out than was
        pulled, so that what waits is bounded."""
        supervisor = self._supervisor
        pause = RECONNECT_FIRST
        supervisor.sleep.stop()
        supervisor.turns.pulling = False  # not before it is known that nobody has buried us
        while not supervisor.stopping:
            try:
                await self.connect()
                break
            except (DatabaseError, SourceLost, psycopg.Error) as error:
                text = str(error).strip().splitlines()
                log.warning("%s; again in %.1f s", text[0] if text else type(error).__name__, pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, RECONNECT_LAST)
        self._reconnecting = None
        log.info("connected again")
        supervisor.sleep.must_say = True
        supervisor.wake()
        supervisor.turns.consider()

    # by the clock -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look after this host. This never waits for the database, so that time-outs strike and
        the watchdog hears of us however long that takes to answer."""
        supervisor = self._supervisor
        next_sample = 0.0
        while True:
            busy = supervisor.is_busy()
            if busy:
                supervisor.watch.look(supervisor.pool.members)
            now = time.monotonic()
            if now >= next_sample:
                next_sample = now + self._every
                self._sample()
            await self._doze(TICK_BUSY if busy else self._every)

    async def beat(self) -> None:
        """Give signs of life to the others, and act on what they bring back."""
        supervisor = self._supervisor
        while True:
            busy = supervisor.is_busy()
            if supervisor.source.connected and self._reconnecting is None:
                await self._beat_if_due(time.monotonic(), busy=busy)
            verdict_in = max(TICK_BUSY, supervisor.witness.next_verdict - time.monotonic())
            await self._doze(TICK_BUSY if supervisor.is_busy() else min(TICK_IDLE, verdict_in))

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

    def _next_beat(self, *, busy: bool) -> float:
        """When it is due, on the monotonic clock."""
        supervisor = self._supervisor
        calm = not (busy or self._claimed_elsewhere or supervisor.gather.finished)
        slow = calm and self._beaten_asleep
        due = self._last_beat + (supervisor.settings.poll if slow else BEAT_SECONDS)
        return min(due, supervisor.witness.next_verdict)

    def _sample(self) -> None:
        supervisor = self._supervisor
        members = supervisor.pool.current
        supervisor.meter.sample(sum(1 for m in members if m.held), len(members))
        reap_strangers({m.pid for m in supervisor.pool.members})
        self._watchdog.look()

    async def _beat_if_due(self, now: float, *, busy: bool) -> None:
        supervisor = self._supervisor
        tell = busy and not self._told
        if not tell and self._next_beat(busy=busy) > now:
            return
        self._last_beat = now
        asleep = supervisor.is_asleep()
        self._heeded = False  # what is heard from now on, the beat may have been too early to see
        try:
            beat = await self._beat(tell=tell)
            self._told = busy
            self._beaten_asleep = asleep
            await self._act(beat)
        except SourceLost as error:
            self._lost(str(error))

    async def _beat(self, *, tell: bool = False) -> Beat:
        supervisor = self._supervisor
        return await supervisor.source.beat(
            queues=list(supervisor.turns.queues),
            jobs_done=supervisor.meter.done,
            memory=supervisor.memory.sample(self._pids()),
            occupancy=supervisor.meter.occupancy.values,
            tell=tell,
        )

    async def _act(self, beat: Beat) -> None:
        supervisor = self._supervisor
        self._claimed_elsewhere = beat.claimed or self._heeded
        if not beat.alive:
            await self._rise_again()
            return
        if not beat.claimed:
            supervisor.witness.forget()
        elif await supervisor.witness.look():
            supervisor.wake()
        supervisor.lanes.look_after(beat.dead_rows)
        self._compare_in -= 1
        if self._compare_in <= 0:
            await self._compare(after_loss=False)
            if self._compare_in <= -COMPARE_AFTER_LOSS or self._compare_in == 0:
                self._compare_in = COMPARE_EVERY
        supervisor.due_in(beat.next_due)
        if beat.ready and not supervisor.turns.pulling:
            supervisor.wake()

    async def _compare(self, *, after_loss: bool) -> None:
        supervisor = self._supervisor
        if supervisor.turns.sending:
            return  # the turn under way changes what would be compared
        recovery = supervisor.recovery
        held = await supervisor.source.own_claims(recovery.since)
        if supervisor.turns.sending:
            return
        recovery.compare(
            held, supervisor.backlog.claims(), supervisor.pool.members, after_loss=after_loss
        )
        supervisor.turns.consider()

    async def _rise_again(self) -> None:
        """Others took this supervisor for dead and have its jobs: what runs here is in vain."""
        supervisor = self._supervisor
        log.error("taken for dead: the jobs were given to others; starting over")
        supervisor.drop_everything()
        supervisor.sleep.must_say = True
        await supervisor.source.register(**supervisor.columns)
        log.info("registered as supervisor %d", supervisor.source.supervisor)
        await supervisor.listener.connect(supervisor.source.supervisor)
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
