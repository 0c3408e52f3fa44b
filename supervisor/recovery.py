"""After a lost connection: finding out what the database knows, and what it was never told.

The claims are the truth. A pair that is in its claim is still ours: its result is sent (again). A
pair that has left it was committed by a COMMIT whose reply got lost, or was given to others. A
claim that nobody here knows was pulled by a turn whose reply got lost: it is given back.
"""

import logging
from collections.abc import Iterable

from ..sql.answers import Held, Row
from ..sql.settlement import Back
from .gather import Gather
from .member import Member

log = logging.getLogger("wsup.recovery")


class Recovery:
    def __init__(self, gather: Gather) -> None:
        self._gather = gather
        #: No claim below this number can be unknown here.
        self.since = 0
        self._newest = 0

    def pulled(self, rows: list[Row]) -> None:
        """A turn has brought these: their claim is known."""
        self._newest = max(self._newest, rows[0][0])

    def compare(
        self,
        held: Iterable[Held],
        backlog: Iterable[Row],
        members: Iterable[Member],
        *,
        after_loss: bool,
    ) -> int:
        """Settle the differences; returns how many ghosts were given back.

        `after_loss`: the connection was lost, so results may have been committed unheard.
        """
        known = {(row[0], row[1]) for row in backlog}
        for member in members:
            known.update((row[0], row[1]) for row in member.held.values())
        finished = {(e.claim, e.job) for e in self._gather.finished}
        in_database = {(pair.claim, pair.job): pair for pair in held}
        if after_loss:
            self._drop_settled(set(in_database), finished)
        ghosts = [pair for key, pair in in_database.items() if key not in known | finished]
        for pair in ghosts:
            self._gather.finished.append(Back(pair.claim, pair.job, pair.attempt, None))
        if ghosts:
            log.warning("%d jobs were pulled unheard, and are given back", len(ghosts))
        return len(ghosts)

    def _drop_settled(
        self, in_database: set[tuple[int, int]], finished: set[tuple[int, int]]
    ) -> None:
        gone = finished - in_database
        if gone:
            log.info("%d results had been committed before the connection was lost", len(gone))
            self._gather.drop(gone)
