"""The link to the database: made, lost, and found again, with what is to be found out then."""

import asyncio
import logging
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from ..config.errors import DatabaseError
from ..sql.answers import SourceLost
from .status import supervisor_row

if TYPE_CHECKING:
    from .supervisor import Supervisor

log = logging.getLogger("wsup.link")

#: Seconds between tries to reconnect: doubling from first to last. All are back long before any
#: of them has been connected for the WITNESS_SECONDS that it takes to bury somebody.
RECONNECT_FIRST, RECONNECT_LAST = 0.1, 2.0
#: Seconds before the first try at most, where the listener was lost: the lock that it holds for
#: others to see is free.
RECONNECT_SOON = 0.3
#: Seconds that a connection must have held for its loss to be one by itself, and no sign that
#: the server, though it can be reached, can't do its work.
STEADY_SECONDS = 10.0
#: Beats between two comparisons of the claims, and how many beats in a row follow a lost
#: connection: an old backend may commit after we have reconnected.
COMPARE_EVERY, COMPARE_AFTER_LOSS = 10, 5


class Link:
    """Both connections of a supervisor, and its row in the database."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor
        supervisor.on_lost = self.lost
        self._reconnecting: asyncio.Task[None] | None = None
        self._connected_at = 0.0
        self._pause = 0.0
        self._left = False
        self._compare_in = COMPARE_EVERY
        self._registered = False

    async def connect(self, first: dict[str, Any] | None = None) -> None:
        """Connect or reconnect both connections, and find out where we stand.

        `first` is what the pid file said of a predecessor, which is certainly dead. No turn is
        taken meanwhile: it would send what may have been committed. Raises DatabaseError,
        SourceLost.
        """
        supervisor = self._supervisor
        source = supervisor.source
        # Others watch the lock that the listener holds: that waits for no turn under way.
        asked_at = supervisor.lapse.count
        is_only_deaf = self._registered and source.connected
        if is_only_deaf:
            await source.listen()
        async with supervisor.turns.quiet:
            if not source.connected:
                await source.connect()
            if first is not None:
                await self._bury_predecessor(first)
            elif self._registered and not await self._is_known():
                self._start_over()
                is_only_deaf = False
            await self._enter(listen=not is_only_deaf)
            if first is None:
                await self._compare(after_loss=True)
                self._compare_in = 1 - COMPARE_AFTER_LOSS
            asked = time.monotonic()  # it may be another server
            supervisor.clock.tell(await source.server_time(), asked, time.monotonic())
        self._connected_at = time.monotonic()
        supervisor.sure_again(asked_at)

    async def _enter(self, *, listen: bool) -> None:
        """Be there for the others to see."""
        supervisor = self._supervisor
        source = supervisor.source
        if not self._registered:
            await source.register(**supervisor_row(supervisor))
            self._registered = True
            log.info("registered as supervisor %d", source.supervisor)
        supervisor.upkeep.reconnected()
        if listen:
            await source.listen()

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
        self._left = True
        if self._reconnecting is not None:
            self._reconnecting.cancel()
            await asyncio.wait((self._reconnecting,))
        try:
            await supervisor.source.leave()
        except SourceLost as error:
            log.warning("could not sign off: %s", error)
        await supervisor.upkeep.stop()
        await supervisor.source.close()

    def lost(self, reason: str) -> None:
        if self._reconnecting is None and not self._left:
            # Who makes nothing ready by itself has it from a server.
            lost = "database" if self._supervisor.source.promotes else "server"
            log.warning("the %s is lost: %s", lost, reason)
            self._reconnecting = asyncio.get_running_loop().create_task(self._reconnect())

    async def reconnected(self, seconds: float) -> None:
        """Wait so long for the connection to be back, if it is lost."""
        if not self._supervisor.source.connected:
            self.lost(self._supervisor.source.loss)
        if self._reconnecting is not None:
            await asyncio.wait((self._reconnecting,), timeout=seconds)

    async def _reconnect(self) -> None:
        """Try until it works, also while stopping: what still runs is ours only as long as others
        see us. Results wait meanwhile, and nothing more is handed out than was pulled, so that
        what waits is bounded."""
        supervisor = self._supervisor
        supervisor.sleep.stop()
        supervisor.turns.pulling = False  # not before it is known that nobody has buried us
        if time.monotonic() - self._connected_at > STEADY_SECONDS:
            self._pause = 0.0
        pause = min(self._pause, RECONNECT_SOON) if self._is_deaf() else self._pause
        while True:
            await asyncio.sleep(pause)
            pause = self._pause = min(max(2 * self._pause, RECONNECT_FIRST), RECONNECT_LAST)
            try:
                await self.connect()
                break
            except (DatabaseError, SourceLost) as error:
                log.warning("%s; again in %.1f s", error, self._pause)
        self._reconnecting = None
        log.info("connected again")
        supervisor.sleep.must_say = True
        supervisor.wake()
        supervisor.turns.consider()
        supervisor.schedules.stir()
        supervisor.limits.stir()

    def is_whole(self) -> bool:
        """Are both connections there? If one is not, whoever has met the loss may have kept it to
        itself: it is tried to reconnect. Not to be asked while `rise_again` is under way."""
        supervisor = self._supervisor
        if self._reconnecting is not None:
            if self._reconnecting.done():
                self._reconnecting.result()  # raises a fault of our own
        elif not supervisor.source.connected:
            self.lost(supervisor.source.loss)
        elif self._is_deaf():
            self.lost("the listener is not connected")
        return self._reconnecting is None

    def _is_deaf(self) -> bool:
        source = self._supervisor.source
        return source.direct and not source.hears

    async def compare_if_due(self) -> None:
        """To be called at every beat."""
        self._compare_in -= 1
        if self._compare_in > 0:
            return
        async with self._supervisor.turns.quiet:
            await self._compare(after_loss=False)
        if self._compare_in <= -COMPARE_AFTER_LOSS or self._compare_in == 0:
            self._compare_in = COMPARE_EVERY

    async def _compare(self, *, after_loss: bool) -> None:
        """Only while no turn is under way: it would change what is compared."""
        supervisor = self._supervisor
        recovery, turns = supervisor.recovery, supervisor.turns
        held = await supervisor.source.own_claims(recovery.since, routine=not after_loss)
        here = [*turns.arriving, *supervisor.backlog.claims()]
        recovery.compare(held, here, supervisor.pool.members, after_loss=after_loss)
        turns.consider()

    async def rise_again(self) -> None:
        """Others took this supervisor for dead and have its jobs: what runs here is in vain."""
        asked_at = self._supervisor.lapse.count
        async with self._supervisor.turns.quiet:
            if await self._is_known():
                return  # a reconnection has come first, and has seen to it
            self._start_over()
            await self._enter(listen=True)
        self._supervisor.sure_again(asked_at)
        self._supervisor.sleep.must_say = True
        self._supervisor.wake()

    def _start_over(self) -> None:
        log.error("taken for dead: the jobs were given to others; starting over")
        _drop_everything(self._supervisor)
        self._registered = False

    async def _is_known(self) -> bool:
        source = self._supervisor.source
        return await source.predecessor(source.supervisor, socket.gethostname(), os.getpid())


def _drop_everything(supervisor: "Supervisor") -> None:
    """Forget every job that is here, and end those that run: they belong to others now."""
    supervisor.backlog.take_all()
    supervisor.turns.arriving = []
    supervisor.gather.finished.clear()
    supervisor.gather.finished_bytes = 0
    supervisor.gather.notes.clear()
    supervisor.cancelling.forget()
    for member in supervisor.pool.members:
        member.release_all()
        member.kill()
