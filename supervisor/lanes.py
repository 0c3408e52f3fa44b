"""Changing lanes, so that dead rows don't slow the pull down.

While somebody holds an old snapshot, vacuum can't remove the rows that pulls have deleted, and
every pull wades through them. So writers move on to the next lane once the current one has many,
and a closed lane is truncated, which no snapshot can hold back.
"""

import logging
from collections.abc import Sequence

from ..sql.source import PostgresSource

log = logging.getLogger("wsup.lanes")

#: Dead rows at which the lane is changed: some 250 index pages, half a millisecond a pull.
MANY_DEAD = 50_000
#: Dead rows at which a closed lane is worth truncating.
SOME_DEAD = 1_000
#: Jobs that are moved out of a lane to empty it; with more, it is left until they have run.
MOST_MOVED = 2_000


class Lanes:
    def __init__(self, source: PostgresSource) -> None:
        self._source = source

    async def keep_clear(self, dead_rows: Sequence[int]) -> None:
        """Act on the numbers of dead rows by lane. Several supervisors may do so at once."""
        for lane, dead in enumerate(dead_rows):
            if dead >= SOME_DEAD and await self._source.sweep(lane, MOST_MOVED):
                log.debug("lane %d is cleared of %d dead rows", lane, dead)
        if max(dead_rows, default=0) >= MANY_DEAD:
            await self._source.next_lane()
