"""Ticking: each tick of each schedule of this app becomes a job, once over all hosts.

Every supervisor that has the app sets a timer for the next tick; the first one to move it on, in
the statement that also makes the job, has done it, and the others see that it is done. So there is
no leader to lose. What time it is, the server says.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import cast

from ..sql.schedules import Definition, Move, Scheduled
from ..subworkers.declared import QueueOrder, ScheduleInfo
from .source import Source
from .stirred import Stirred
from .ticks import CatchUp, Unticking, fall_due, rhythm

log = logging.getLogger("wsup.schedules")

#: Seconds between two looks at schedules whose next tick is far: the server's clock may be set, the
#: machine may have been asleep.
LOOK_SECONDS = 60.0
#: Seconds; a timer may ring that much too early.
SHORTEST_PAUSE = 0.001


class Schedules(Stirred):
    def __init__(self, source: Source, *, poll: float, on_lost: Callable[[str], None]) -> None:
        super().__init__("schedules", source, on_lost)
        self._poll = poll
        self._app = ""
        self._definitions: list[Definition] = []
        self._queues: list[tuple[str, bool, float]] = []
        #: The database has not been told of them yet.
        self._must_define = False
        #: Those that this host can't make sense of, with their revisions, as it has said.
        self._told: set[tuple[str, int]] = set()

    def load(
        self, app: str, schedules: Sequence[ScheduleInfo], queues: Sequence[QueueOrder] = ()
    ) -> None:
        """The app has been loaded: from now on, its schedules are these, and the orders of queues
        what it says."""
        self._app = app
        self._queues = [(q.queue, q.fair, q.ageing) for q in queues]
        self._definitions = [
            Definition(
                s.name, s.task, s.queue, s.priority, s.args, s.cron, s.timezone, s.every, s.catch_up
            )
            for s in sorted(schedules, key=lambda s: s.name)
        ]  # fmt: skip
        self._must_define = True
        self.stir()

    async def _look(self) -> float | None:
        if self._must_define:
            await self._define()
        loop = asyncio.get_running_loop()
        while not self._stopped:
            found = await self._source.schedules.read(self._app)
            # A timer that rings a little late costs no statement more, one that rings early does.
            read_at = loop.time()
            moves = [move for seen in found if (move := self._move(seen))]
            moved = await self._source.schedules.tick(self._app, moves) if moves else set()
            for move in moves:
                if move.skipped and move.seen.name in moved:
                    _tell_skipped(move)
            if len(moved) == len(moves):
                return self._pause(found, moves, loop.time() - read_at)
            # Another supervisor was faster: what is next, it knows.
        return None

    async def _define(self) -> None:
        app, definitions = self._app, self._definitions
        for name, change in await self._source.schedules.define(app, definitions):
            log.info("schedule %s of %s is %s", name, app, change)
        for name, change in await self._source.schedules.define_queues(app, self._queues):
            log.info("the order of queue %s was %s", name, change)
        # A reload meanwhile brings others.
        self._must_define = self._definitions is not definitions

    def _move(self, seen: Scheduled) -> Move | None:
        """What is to be done about a schedule now, if anything."""
        if seen.paused or (seen.next_tick is not None and seen.next_tick > seen.read_at):
            return None
        try:
            beat = rhythm(seen.cron, seen.timezone, seen.every)
        except Unticking as error:
            self._tell_once(seen, error)
            return None
        if seen.next_tick is None:
            return Move(seen, beat.after(seen.read_at))
        due = fall_due(beat, cast("CatchUp", seen.catch_up), seen.next_tick, seen.read_at)
        return Move(seen, due.next_tick, due.ticks, due.skipped)

    def _tell_once(self, seen: Scheduled, error: Unticking) -> None:
        """Another deploy has defined it, where more is known of time zones, say."""
        if (seen.name, seen.revision) not in self._told:
            self._told.add((seen.name, seen.revision))
            value = seen.timezone if error.key == "timezone" else seen.cron
            log.error(
                "schedule %s: %s=%r means nothing here: %s", seen.name, error.key, value, error
            )

    def _pause(
        self, found: Sequence[Scheduled], moves: Sequence[Move], passed: float
    ) -> float | None:
        """Seconds until the next tick, `passed` after these were read."""
        if not found:
            return None
        nexts: list[datetime] = [move.next_tick for move in moves]
        nexts += [s.next_tick for s in found if s.next_tick and s.next_tick > s.read_at]
        look = LOOK_SECONDS if self._source.hears else self._poll
        if not nexts:
            return look
        left = (min(nexts) - found[0].read_at).total_seconds() - passed
        return min(look, max(SHORTEST_PAUSE, left))


def _tell_skipped(move: Move) -> None:
    log.warning(
        "schedule %s: ticks since %s were missed, %d of them run now (catch_up=%r)",
        move.seen.name, move.seen.next_tick, len(move.ticks), move.seen.catch_up,
    )  # fmt: skip
