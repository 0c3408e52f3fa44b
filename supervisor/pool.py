"""The subworkers of this host: as many as there should be, each replaced when it ends."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from ..subworkers import wire
from ..subworkers.memory import SharedMemory
from .generation import AppFailed, Generation, TemplateDied
from .member import Member, State

log = logging.getLogger("wsup.pool")

#: Seconds to wait before another try, after a subworker or template that died before it was ready:
#: doubling from first to last, so that a crash loop burns no CPU.
RESPAWN_FIRST, RESPAWN_LAST = 0.1, 30.0
#: Seconds that a new generation may take to get warm before a reload is given up.
WARM_SECONDS = 120.0


class Pool:
    def __init__(
        self,
        *,
        on_report: Callable[[Member], None],
        on_death: Callable[[Member, str], None],
        on_change: Callable[[], None],
    ) -> None:
        self.members: list[Member] = []
        #: Those of them that get jobs.
        self.current: list[Member] = []
        self.generation: Generation | None = None
        #: Set while no subworker is left.
        self.emptied = asyncio.Event()
        self.size = 0
        self._on_report = on_report
        self._on_death = on_death
        self._on_change = on_change
        self._load = wire.Load("", 1, 0)
        self._numbers = 0
        self._respawn_delay = RESPAWN_FIRST
        self._respawns: set[asyncio.Task[None]] = set()
        self._warm: dict[int, asyncio.Future[None]] = {}
        self._stopping = False

    @property
    def tasks(self) -> Mapping[str, wire.TaskInfo]:
        return self.generation.tasks if self.generation else {}

    def _changed(self) -> None:
        number = self.generation.number if self.generation else 0
        self.current = [
            m for m in self.members if m.generation == number and m.state is State.READY
        ]
        self._on_change()

    # starting and reloading -------------------------------------------------------------------

    async def start(self, load: wire.Load, size: int) -> None:
        """Warm the first, or the next generation, and let it take over.

        Until all of the new subworkers are ready the old ones keep working. Raises AppFailed, with
        everything as it was before.
        """
        fresh = Generation(self._numbers + 1, load)
        await self._started(fresh, beside_jobs=bool(self.members))
        self._numbers = fresh.number
        for warning in fresh.warnings:
            log.warning("%s", warning)
        try:
            async with asyncio.timeout(WARM_SECONDS):
                await asyncio.gather(*(self._spawn_warm(fresh, i) for i in range(size)))
            self._refuse_if_stopping()
        except (AppFailed, TemplateDied, TimeoutError) as error:
            self._abandon(fresh)
            reason = str(error) or f"not warm within {WARM_SECONDS:g} s"
            raise AppFailed(reason) from error
        except asyncio.CancelledError:
            self._abandon(fresh)
            raise
        old, self.generation = self.generation, fresh
        self.size, self._load = size, load
        for member in self.members:
            if member.generation != fresh.number:
                member.stop()
        if old is not None:
            old.stop()
        self._changed()

    async def _started(self, generation: Generation, *, beside_jobs: bool = False) -> None:
        try:
            await generation.start(beside_jobs=beside_jobs)
        except TemplateDied as error:
            generation.stop()
            raise AppFailed(f"the process that imports the app died: {error}") from error
        except asyncio.CancelledError:
            generation.stop()
            raise

    def _abandon(self, generation: Generation) -> None:
        for member in self.members:
            if member.generation == generation.number:
                member.state = State.LEAVING
                member.kill()
        generation.stop()

    async def _spawn_warm(self, generation: Generation, index: int) -> None:
        await self._warmed(await self._spawn(generation, index))

    async def _warmed(self, member: Member) -> None:
        """Wait until it is ready. Raises AppFailed if it can't be."""
        ready = self._warm[id(member)] = asyncio.get_running_loop().create_future()
        try:
            await ready
        finally:
            del self._warm[id(member)]

    def _refuse_if_stopping(self) -> None:
        """What starts now would never be told to end. Raises AppFailed."""
        if self._stopping:
            raise AppFailed("the supervisor is stopping")

    async def _spawn(self, generation: Generation, index: int) -> Member:
        self._refuse_if_stopping()
        memory = SharedMemory.create(generation.load.concurrency + 1, generation.load.ring_bytes)
        member = Member(index, generation.number, memory)
        try:
            pid = await generation.fork(member)
            member.born(pid, lambda: self._on_report(member), lambda: self._bury(member))
        except (TemplateDied, OSError):  # the latter: it was gone, and reaped, before it was known
            memory.close()
            raise
        self.members.append(member)
        self.emptied.clear()
        return member

    # what the subworkers say ------------------------------------------------------------------

    def ready(self, member: Member) -> None:
        """It has run its start hooks."""
        if member.state is State.STARTING:
            member.state = State.READY
        self._respawn_delay = RESPAWN_FIRST
        self._settle_warm(member, None)
        self._changed()

    def unfit(self, member: Member, traceback: str) -> None:
        """One of its start hooks has failed."""
        log.error("%s can't start:\n%s", member, traceback)
        self._settle_warm(member, AppFailed(f"a start hook failed:\n{traceback}"))

    def _settle_warm(self, member: Member, error: AppFailed | None) -> None:
        waiting = self._warm.get(id(member))
        if waiting is None or waiting.done():
            return
        if error is None:
            waiting.set_result(None)
        else:
            waiting.set_exception(error)

    def _bury(self, member: Member) -> None:
        was = member.state
        end = member.reap()
        self._on_death(member, end)  # reads its last words
        expected = was is State.LEAVING or member.untrusted
        member.memory.close()
        self.members.remove(member)
        if not self.members:
            self.emptied.set()
        self._settle_warm(member, AppFailed(f"a subworker died before it was ready: {end}"))
        if not expected:
            log.warning("%s died: %s", member, end)
        if not self._stopping and was is not State.LEAVING and self._is_short(member):
            delay = 0.0
            if was is State.STARTING:
                delay = self._next_delay()
                log.error("subworker %d is started again in %.1f s", member.index, delay)
            self._schedule_respawn(member.index, delay)
        self._changed()

    def _next_delay(self) -> float:
        delay, self._respawn_delay = self._respawn_delay, min(2 * self._respawn_delay, RESPAWN_LAST)
        return delay

    def _is_short(self, member: Member) -> bool:
        """Is there no other one in its place, although there should be?"""
        current = self.generation
        return (
            current is not None
            and member.generation == current.number
            and member.index < self.size
            and not self._has(member.index, current.number)
        )

    def _schedule_respawn(self, index: int, delay: float) -> None:
        task = asyncio.get_running_loop().create_task(self._respawn(index, delay))
        self._respawns.add(task)
        task.add_done_callback(self._respawns.discard)

    async def _respawn(self, index: int, delay: float) -> None:
        """Put a new subworker in the place of one that has ended."""
        while not self._stopping:
            if delay:
                await asyncio.sleep(delay)
            generation = self.generation
            if generation is None or index >= self.size or self._has(index, generation.number):
                return
            try:
                await self._spawn(generation, index)
                return
            except (TemplateDied, OSError) as error:
                log.error("the template of generation %d: %s", generation.number, error)
            delay = self._next_delay()
            await self._replace_template(generation)

    async def _replace_template(self, generation: Generation) -> None:
        """A template has died: import the app again, for the same generation."""
        if generation.alive or generation is not self.generation:
            return
        again = Generation(generation.number, self._load)
        try:
            await self._started(again)
        except AppFailed as error:
            log.error("the app can't be imported any more: %s", error)
            return
        if generation is self.generation:
            self.generation = again
        else:
            again.stop()

    def _has(self, index: int, generation: int) -> bool:
        return any(
            m.index == index and m.generation == generation and m.state is not State.LEAVING
            for m in self.members
        )

    # one for another --------------------------------------------------------------------------

    def replace(self, member: Member, reason: str) -> None:
        """It can't be trusted any more: it gets no more jobs, and another one is started."""
        log.warning("%s is replaced: %s", member, reason)
        member.untrusted = True
        if member.state is State.READY:
            member.stop(attentive=False)
            if not self._stopping and self._is_short(member):
                self._schedule_respawn(member.index, 0.0)
            self._changed()

    async def renew(self, member: Member) -> None:
        """Warm another one beside it, which then takes its place.

        Raises AppFailed, TemplateDied, OSError, TimeoutError, and `member` goes on.
        """
        if self.generation is None:
            return
        fresh = await self._spawn(self.generation, member.index)
        try:
            async with asyncio.timeout(WARM_SECONDS):
                await self._warmed(fresh)
        except TimeoutError:
            fresh.kill()
            raise TimeoutError(f"a new one is not warm within {WARM_SECONDS:g} s") from None
        member.stop()
        self._changed()

    # more, fewer, none ------------------------------------------------------------------------

    def resize(self, size: int) -> None:
        """Have so many subworkers from now on."""
        self.size = max(1, size)
        number = self.generation.number if self.generation else 0
        for member in self.members:
            if member.generation == number and member.index >= self.size:
                member.stop()
        for index in range(self.size):
            if not self._has(index, number):
                self._schedule_respawn(index, 0.0)
        self._changed()

    def leave(self) -> None:
        """Let every subworker finish what it runs, then end; none is replaced."""
        self._stopping = True
        for task in self._respawns:
            task.cancel()
        for member in self.members:
            member.stop()
        self._changed()

    def kill(self) -> None:
        """End every subworker at once."""
        self._stopping = True
        for member in self.members:
            member.interrupted = True
            member.state = State.LEAVING
            member.kill()
        self._changed()

    def stop_template(self) -> None:
        if self.generation is not None:
            self.generation.stop()
