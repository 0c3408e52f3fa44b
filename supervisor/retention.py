"""Removing finished jobs that have been kept for long enough, where it disturbs nobody.

One supervisor does it, the one that was started first (the database decides at each piece), on a
connection of its own that turns don't know: many short transactions, each followed by a pause that
is several times as long.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from ..config.errors import DatabaseError
from ..config.settings import Settings
from ..sql.answers import SourceLost
from ..sql.retention import Walk, prune, walks
from ..sql.session import Session

log = logging.getLogger("wsup.retention")

#: Of the time that a round takes, the share in which the database works for it.
SHARE = 0.1
#: A round begins, and a walk begins anew, after this share of the time that jobs are kept …
EVERY = 0.1
#: … in seconds, at most. A round that finds nothing costs a connection and a statement;
ROUND_MOST = 600.0
#: a walk that begins anew looks at all that is kept longer than what it removes.
ANEW_LEAST, ANEW_MOST = 60.0, 86_400.0


class Retention:
    def __init__(
        self, dsn: str, settings: Callable[[], Settings], supervisor: Callable[[], int]
    ) -> None:
        self._dsn = dsn
        self._settings = settings
        #: The number of this one.
        self._supervisor = supervisor
        self._kept: dict[str, float] = {}
        #: Each with the time at which it begins anew, on the monotonic clock.
        self._walks: list[tuple[Walk, float]] = []
        self._due = 0.0
        self._task: asyncio.Task[None] | None = None

    def look_after(self) -> None:
        """Begin a round if one is due and none is under way. To be called at each beat."""
        if self._kept != (now := kept(self._settings())):
            self._kept = now
            self._walks = [(walk, _later(walk)) for walk in walks(now)]
            self._plan()
        if self._walks and self._task is None and time.monotonic() >= self._due:
            self._task = asyncio.get_running_loop().create_task(self._round())

    def _plan(self) -> None:
        pauses = [EVERY * walk.keep for walk, _ in self._walks]
        self._due = time.monotonic() + min([ROUND_MOST, *pauses])

    async def stop(self) -> None:
        """Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def _round(self) -> None:
        session = Session(self._dsn, statement_seconds=self._settings().statement_timeout)
        ways = self._walks
        try:
            await session.connect()
            for number, (walk, anew_at) in enumerate(ways):
                if time.monotonic() >= anew_at:
                    # To those that it has passed by, because they had not ended then.
                    walk.reached = 0
                    ways[number] = walk, _later(walk)
                await self._go(session, walk)
        except (DatabaseError, SourceLost) as error:
            log.debug("while removing old jobs: %s", error)
        finally:
            await session.close()
            self._plan()
            self._task = None

    async def _go(self, session: Session, walk: Walk) -> None:
        jobs, more, kept = 0, True, self._kept
        while more and self._kept is kept:  # after a reload, jobs may be kept longer
            began = time.monotonic()
            pruned, walk.reached, more = await prune(session, walk, self._supervisor())
            jobs += pruned
            if more:
                await asyncio.sleep((time.monotonic() - began) * (1 - SHARE) / SHARE)
        if jobs:
            log.info("%d jobs removed that had ended %g s before", jobs, walk.keep)


def kept(settings: Settings) -> dict[str, float]:
    """How many seconds jobs are kept, by how they ended; 0 is for ever."""
    return {
        "succeeded": settings.retention_succeeded,
        "failed": settings.retention_failed,
        "cancelled": settings.retention_cancelled,
        "expired": settings.retention_expired,
    }


def _later(walk: Walk) -> float:
    """When it begins anew."""
    return time.monotonic() + min(max(EVERY * walk.keep, ANEW_LEAST), ANEW_MOST)
