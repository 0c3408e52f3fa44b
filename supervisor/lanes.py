"""Keeping lanes free of dead rows, which every pull and every look at a key would wade through.

Vacuum removes them, but the server's own comes once a minute, and a minute is three million jobs.
So it is asked for when a lane has many. While somebody holds an old snapshot, it can do nothing:
then writers move on to the next lane, and the closed one is truncated once it is nearly empty,
which no snapshot can hold back. The lines of keys and their turns have lanes as `ready` has.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import NamedTuple

from ..config.errors import DatabaseError
from ..sql.answers import SourceLost
from ..sql.lanes import LANES, TABLES, Lane
from ..sql.source import PostgresSource

log = logging.getLogger("wsup.lanes")

#: Dead rows at which a closed lane is worth truncating, if it is nearly empty.
SOME_DEAD = 1_000
#: Jobs that are moved out of a lane to empty it; with more, it is left until they have run.
MOST_MOVED = 2_000


class Bounds(NamedTuple):
    """Numbers of dead rows."""

    #: At which a lane is vacuumed.
    many: int
    #: At which writers move on, vacuum having failed to keep them fewer.
    too_many: int


#: A pull wades through all dead rows of a lane once: 20,000 are a hundred index pages, a fifth of a
#: millisecond. Of lines, it wades through those of each key that it looks at, several times.
BOUNDS = {
    "ready": Bounds(20_000, 50_000),
    "blocked": Bounds(10_000, 10_000),
    "key_holder": Bounds(10_000, 10_000),
}


class Lanes:
    """Works on a connection of its own, so that no turn waits for it."""

    def __init__(self, source: PostgresSource) -> None:
        self._source = source
        self._task: asyncio.Task[None] | None = None
        #: How many dead rows the last vacuum had to leave.
        self._left: dict[Lane, int] = {}

    def look_after(self, dead_rows: Sequence[int]) -> None:
        """Act on the numbers of dead rows of all lanes, if that isn't under way already."""
        if max(dead_rows, default=0) >= SOME_DEAD and self._task is None:
            lanes = [Lane(table, number) for table in TABLES for number in range(LANES)]
            dead = dict(zip(lanes, dead_rows, strict=True))
            self._task = asyncio.get_running_loop().create_task(self._clear(dead))

    async def stop(self) -> None:
        """Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        await self._source.close()

    async def _clear(self, dead_rows: dict[Lane, int]) -> None:
        try:
            if not self._source.connected:
                await self._source.connect()
            full = set()
            for lane, dead in dead_rows.items():
                left = await self._left_over(lane, dead) if dead >= SOME_DEAD else dead
                if left >= BOUNDS[lane.table].too_many:
                    full.add(lane.number)
            if full:
                await self._source.lanes.next_lane(sorted(full))
        except (DatabaseError, SourceLost) as error:
            log.debug("while clearing lanes: %s", error)
        finally:
            self._task = None

    async def _left_over(self, lane: Lane, dead: int) -> int:
        """Remove a lane's dead rows; returns how many could not be."""
        if await self._source.lanes.sweep(lane, MOST_MOVED):
            log.debug("%s, lane %d: cleared of %d dead rows", lane.table, lane.number, dead)
            self._left.pop(lane, None)
            return 0
        if dead < max(BOUNDS[lane.table].many, 2 * self._left.get(lane, 0)):
            return dead
        self._left[lane] = await self._source.lanes.vacuum(lane)
        return self._left[lane]
