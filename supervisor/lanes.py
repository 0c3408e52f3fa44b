"""Keeping the lanes of `ready` free of dead rows, which every pull would wade through.

Vacuum removes them, but the server's own comes once a minute, and a minute is three million jobs.
So it is asked for when a lane has many. While somebody holds an old snapshot, it can do nothing:
then writers move on to the next lane, and the closed one is truncated once it is nearly empty,
which no snapshot can hold back.
"""

import asyncio
import logging
from collections.abc import Sequence

from ..config.errors import DatabaseError
from ..sql.answers import SourceLost
from ..sql.source import PostgresSource

log = logging.getLogger("wsup.lanes")

#: Dead rows at which a closed lane is worth truncating, if it is nearly empty.
SOME_DEAD = 1_000
#: Dead rows at which a lane is vacuumed: a hundred index pages, a fifth of a millisecond a pull.
MANY_DEAD = 20_000
#: Dead rows at which writers move on, vacuum having failed to keep them fewer.
TOO_MANY_DEAD = 50_000
#: Jobs that are moved out of a lane to empty it; with more, it is left until they have run.
MOST_MOVED = 2_000


class Lanes:
    """Works on a connection of its own, so that no turn waits for it."""

    def __init__(self, source: PostgresSource) -> None:
        self._source = source
        self._task: asyncio.Task[None] | None = None
        #: By lane, how many dead rows the last vacuum had to leave.
        self._left: dict[int, int] = {}

    def look_after(self, dead_rows: Sequence[int]) -> None:
        """Act on the numbers of dead rows by lane, if that isn't under way already."""
        if max(dead_rows, default=0) >= SOME_DEAD and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._clear(list(dead_rows)))

    async def stop(self) -> None:
        """Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        await self._source.close()

    async def _clear(self, dead_rows: list[int]) -> None:
        try:
            if not self._source.connected:
                await self._source.connect()
            for lane, dead in enumerate(dead_rows):
                if dead < SOME_DEAD:
                    continue
                if await self._source.lanes.sweep(lane, MOST_MOVED):
                    log.debug("lane %d is cleared of %d dead rows", lane, dead)
                elif dead >= max(MANY_DEAD, 2 * self._left.get(lane, 0)):
                    self._left[lane] = await self._source.lanes.vacuum(lane)
            if max(dead_rows) >= TOO_MANY_DEAD:
                await self._source.lanes.next_lane()
        except (DatabaseError, SourceLost) as error:
            log.debug("while clearing lanes: %s", error)
        finally:
            self._task = None
