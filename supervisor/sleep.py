"""Going to sleep when there is nothing to do, without missing what comes just then.

A writer notifies only those who have said that they sleep. One that looked for sleepers before the
word was committed, and commits its job after our last look, would be missed by both. So: say it,
commit, list the writers in flight, look; as long as one of them is there, look again. (A job that
is missed all the same is found by the slow poll.)
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from ..sql.source import PostgresSource, SourceLost

log = logging.getLogger("wsup.sleep")

#: Seconds between looks while a writer from before is in flight: doubling from first to last, and
#: never more than a tenth of the time that has passed.
LOOK_FIRST, LOOK_LAST, LOOK_SHARE = 0.001, 1.0, 0.1
#: Seconds between looks while nobody can notify this supervisor.
DEAF_SECONDS = 0.5


class Sleep:
    def __init__(
        self,
        source: PostgresSource,
        *,
        poll: float,
        hears: Callable[[], bool],
        on_wake: Callable[[], None],
        on_due: Callable[[float | None], None],
    ) -> None:
        self._source = source
        self._poll = poll
        self._hears = hears
        self._on_wake = on_wake
        self._on_due = on_due
        self.queues: Sequence[str] = ()
        #: The database has been told that this supervisor sleeps.
        self.asleep = False
        self._falling: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """There was nothing more to pull."""
        if self._falling is None:
            self._falling = asyncio.get_running_loop().create_task(self._fall())

    def wake(self) -> None:
        """There may be something to pull. Idempotent."""
        if self._falling is not None:
            self._falling.cancel()
            self._falling = None
        self._on_wake()

    def stop(self) -> None:
        if self._falling is not None:
            self._falling.cancel()
            self._falling = None

    async def _fall(self) -> None:
        try:
            self.asleep = True  # also if the reply is lost: then the flag is there all the same
            await self._source.sleep(self.queues, self._poll)
            await self._look_until_quiet()
        except SourceLost as error:
            log.debug("while going to sleep: %s", error)

    async def _look_until_quiet(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        pause = LOOK_FIRST
        look = await self._source.look(self.queues)
        suspects = set(look.writers)
        while True:
            if look.ready:
                self._falling = None
                self._on_wake()
                return
            self._on_due(look.next_due)
            suspects &= set(look.writers)
            if self._hears() and not suspects:
                return
            if suspects:
                await asyncio.sleep(pause)
                pause = min(LOOK_LAST, max(2 * pause, LOOK_SHARE * (loop.time() - began)))
                pause = min(pause, max(LOOK_SHARE * (loop.time() - began), 0.064))
            else:
                await asyncio.sleep(DEAF_SECONDS)
            look = await self._source.look(self.queues)
