"""Signs of life: the server's own, and in the same statement those of whom it has heard since.

Whoever has been heard of within a part of its lease can't have been buried: that is answered from
memory. So the number of statements doesn't grow with that of the supervisors.
"""

import asyncio
import time
from collections.abc import Callable, Set

from ..config.settings import Settings
from ..sql.answers import Beat, SourceLost
from ..sql.serving import Sign
from ..sql.source import PostgresSource
from ..supervisor.memory import MemoryMeter
from ..supervisor.source import Upkeep

#: Seconds between signs of life, while somebody has jobs.
BEAT_SECONDS = 0.8
#: The shortest lease that settings allow, in seconds, and the part of it for which who was alive is
#: taken to be so.
SHORTEST_LEASE, SURE_SHARE = 5.0, 0.4


class Life:
    def __init__(
        self,
        source: PostgresSource,
        upkeep: Upkeep,
        settings: Settings,
        *,
        queues: Callable[[], list[str]],
        jobs_done: Callable[[], int],
        on_beat: Callable[[Beat], None],
        on_buried: Callable[[], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._source = source
        self._upkeep = upkeep
        self._settings = settings
        self._queues = queues
        self._jobs_done = jobs_done
        self._on_beat = on_beat
        self._on_buried = on_buried
        self._on_lost = on_lost
        self._memory = MemoryMeter()
        self._signs: dict[int, Sign] = {}
        #: When a sign of life of these was on its way to the database, on the monotonic clock.
        self._alive: dict[int, float] = {}
        #: Who had no jobs at the last sign of life.
        self._idle: set[int] = set()
        self._ahead = 0.0
        self._last = time.monotonic()
        self._busy = True
        self._stir = asyncio.Event()
        self._beating: asyncio.Task[None] | None = None
        #: Who holds a job that is to be cancelled.
        self.cancelling: Set[int] = frozenset()
        #: Their leases, in seconds.
        self._leases: dict[int, float] = {}

    def know(self, supervisor: int, lease: float) -> None:
        """It is dead after so many seconds without a sign of life."""
        self._leases[supervisor] = lease

    def hear(self, supervisor: int, sign: Sign | None = None) -> None:
        """It has said something."""
        if sign is not None or supervisor not in self._signs:
            self._signs[supervisor] = sign or Sign()

    @property
    def known(self) -> int:
        """How many supervisors have lately been alive."""
        return len(self._alive)

    @property
    def age(self) -> float:
        """Seconds since the last sign of life that has arrived."""
        return time.monotonic() - self._last

    def is_idle(self, supervisor: int) -> bool:
        """It had no jobs some seconds ago."""
        return supervisor in self._idle and supervisor in self._alive

    def now(self) -> float:
        """Seconds since 1970, by the database's clock."""
        return time.monotonic() + self._ahead

    def busy(self) -> None:
        """Somebody has got jobs: the others are to know soon."""
        if not self._busy:
            self._busy = True
            self._stir.set()

    async def is_alive(self, supervisor: int) -> bool:
        """Is it not taken for dead? Raises SourceLost."""
        sure = SURE_SHARE * self._leases.get(supervisor, SHORTEST_LEASE)
        since = self._alive.get(supervisor, 0.0)
        if time.monotonic() - since < sure:
            return True
        self.hear(supervisor)
        while supervisor in self._signs:
            if self._beating is None:
                await self.beat()
            else:  # it has left without this sign
                await asyncio.wait((self._beating,))
        if self._beating is not None:
            await asyncio.shield(self._beating)
        return supervisor in self._alive

    async def run(self) -> None:
        while True:
            if self._source.connected:
                try:
                    await self.beat()
                except SourceLost as error:
                    self._on_lost(str(error))
            verdict = self._upkeep.next_verdict - time.monotonic()
            pause = BEAT_SECONDS if self._busy else min(self._settings.poll, max(0.05, verdict))
            self._stir.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._stir.wait()
            except TimeoutError:
                pass

    async def beat(self) -> None:
        """One statement for all; who comes meanwhile waits for that. Raises SourceLost."""
        if self._beating is None:
            self._beating = asyncio.get_running_loop().create_task(self._beat())
            self._beating.add_done_callback(self._beaten)
        await asyncio.shield(self._beating)

    def _beaten(self, task: asyncio.Task[None]) -> None:
        self._beating = None
        if not task.cancelled():
            task.exception()  # who has waited for it has got it, too

    async def _beat(self) -> None:
        signs, self._signs = self._signs, {}
        asked = time.monotonic()
        beat, alive, holding = await self._source.serving.beat(
            self._source.supervisor,
            self._queues(),
            signs,
            memory=self._memory.sample([]),
            jobs_done=self._jobs_done(),
            tell=self._busy,
        )
        self._last = time.monotonic()
        self._ahead = beat.server_time - self._last
        for supervisor in signs:
            if supervisor in alive:
                self._alive[supervisor] = asked
            else:
                self._alive.pop(supervisor, None)
                self._leases.pop(supervisor, None)
        self._idle = (self._idle | alive) - holding
        self._busy = beat.claimed
        if not beat.alive:
            self._on_buried()
            return
        if await self._upkeep.look_after(beat):
            beat = Beat(**{**vars(beat), "ready": True})
        self._on_beat(beat)
