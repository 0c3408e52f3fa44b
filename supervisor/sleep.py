"""Going to sleep when there is nothing to do, without missing what comes just then.

A writer notifies only those who have said that they sleep. One that looked for sleepers before the
word was committed, and commits its job after our last look, would be missed by both. So: say it,
commit, list the writers in flight, look; as long as one of them is there, look again. (A job that
is missed all the same is found by the slow poll.)
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from ..sql.answers import SourceLost
from .source import Source

log = logging.getLogger("wsup.sleep")

#: Seconds between looks while a writer from before is in flight: doubling from first to patient;
#: then a tenth of the time that has passed, up to the last, for a writer may stay open for hours.
LOOK_FIRST, LOOK_PATIENT, LOOK_LAST, LOOK_SHARE = 0.001, 0.064, 1.0, 0.1
#: Seconds until another look at keys that somebody has in hand: a turn takes as long.
COME_BACK_SECONDS = 0.01
#: Seconds between looks while nobody can notify this supervisor.
DEAF_SECONDS = 0.5


class Sleep:
    def __init__(
        self,
        source: Source,
        *,
        poll: float,
        wanted: Callable[[], int],
        on_wake: Callable[[], None],
        on_due: Callable[[float | None], None],
    ) -> None:
        self._source = source
        self._poll = poll
        #: How many jobs could be taken now.
        self._most = wanted
        self._on_wake = on_wake
        self._on_due = on_due
        self.queues: Sequence[str] = ()
        #: The word has to be given (again): the queues are others, or the connection was lost.
        self.must_say = True
        #: Since the last look, nothing can have come that this supervisor was not called for.
        self._sure = False
        #: Counts the times of falling asleep; even while awake, odd while it is wanted to sleep.
        self._round = 0
        self._stir = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """There was nothing more to pull."""
        self._round += 2 if self._round % 2 else 1
        self._stir.set()
        if self.safe:
            return  # still in its word's keeping: it was called once, and has come and pulled
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    @property
    def safe(self) -> bool:
        """Whoever has something for these queues will call: there is no need to look."""
        source = self._source
        return self._sure and source.said_asleep and not self.must_say and source.hears

    @property
    def wanted(self) -> bool:
        """Asleep, or falling asleep."""
        return bool(self._round % 2)

    def wake(self) -> None:
        """There may be something to pull. Idempotent.

        A statement under way is not cancelled, which would cost more than to wait for it.
        """
        self.stop()
        self._on_wake()

    def come_back(self) -> None:
        """There are keys to be served that another supervisor has in hand, for the moment."""
        asyncio.get_running_loop().call_later(COME_BACK_SECONDS, self._look_again)

    def _look_again(self) -> None:
        self.doubt()
        if self.wanted:
            self.wake()

    def doubt(self) -> None:
        """There may be something that only a look can tell."""
        self._sure = False

    def stop(self) -> None:
        """Don't fall asleep after all. Idempotent."""
        self._round += self._round % 2
        self._stir.set()

    async def _run(self) -> None:
        try:
            fell = 0
            while self._round % 2 and fell != self._round:
                fell = self._round
                await self._fall(fell)
        except SourceLost as error:
            log.debug("while going to sleep: %s", error)
        finally:
            self._task = None

    async def _fall(self, fell: int) -> None:
        self._sure = False
        # To call who can't hear would cost every writer a lock on the whole database.
        if self._source.hears and (self.must_say or not self._source.said_asleep):
            await self._source.sleep(self.queues, self._poll, self._most())
            self.must_say = False
        loop = asyncio.get_running_loop()
        began, pause = loop.time(), LOOK_FIRST
        suspects: set[str] | None = None
        while fell == self._round:
            look = await self._source.look(self.queues)
            if fell != self._round:
                return
            if look.ready:
                self.wake()
                return
            self._on_due(look.next_due)
            suspects = set(look.writers) if suspects is None else suspects & set(look.writers)
            if not self._source.hears:
                await self._wait(DEAF_SECONDS)
            elif suspects:
                await self._wait(pause)
                patience = max(LOOK_PATIENT, LOOK_SHARE * (loop.time() - began))
                pause = min(2 * pause, patience, LOOK_LAST)
            else:
                self._sure = True
                return

    async def _wait(self, seconds: float) -> None:
        self._stir.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._stir.wait()
        except TimeoutError:
            pass
