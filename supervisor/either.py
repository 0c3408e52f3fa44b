"""A server as the origin of jobs, and the database itself while that can't be reached.

Both ways the supervisor is the same row, with the same claims: what it holds stays its own.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from ..config.errors import DatabaseError
from ..config.settings import Settings
from ..sql.answers import Beat, CancelRequest, Held, Look, Pull, SourceLost, Turn
from ..sql.limits import PerHost
from ..sql.notes import Note
from ..sql.settlement import Entry
from .database import Database
from .served import NoUpkeep, Server
from .source import Ears, LimitTable, ScheduleTable, Source, Upkeep

log = logging.getLogger("wsup.link")

#: Seconds between two looks whether the server is there again.
RETURN_SECONDS = 5.0


class Either:
    def __init__(self, server: Server, database: Database) -> None:
        self._server = server
        self._database = database
        self.name = f"{server.name}, or {database.name}"

    def first_look(self, tries: int) -> None:
        """See that one of them is there. Raises DatabaseError."""
        try:
            self._server.first_look(1)
        except DatabaseError as error:
            log.warning("%s", error)
            self._database.first_look(tries)

    def open(self, settings: Callable[[], Settings], ears: Ears) -> tuple[Source, Upkeep]:
        """Both ends of the seam, not connected yet."""
        served, _ = self._server.open(settings, ears)
        own, upkeep = self._database.open(settings, ears, agent=self._server.agent())
        source = EitherSource(served, own, ears)
        return source, EitherUpkeep(source, upkeep)


class EitherSource:
    """The server or the database: each verb goes to the one that is used now."""

    def __init__(self, served: Source, own: Source, ears: Ears) -> None:
        self._served = served
        self._own = own
        self._ears = ears
        self._now = served
        self._looking: asyncio.Task[None] | None = None

    @property
    def is_served(self) -> bool:
        return self._now is self._served

    async def connect(self) -> None:
        """By the server if it can be. Raises DatabaseError, SourceLost."""
        await self.close()
        try:
            await self._served.connect()
            self._now = self._served
        except (DatabaseError, SourceLost) as error:
            await self._own.connect()
            self._now = self._own
            log.warning("%s; from the database itself meanwhile", error)
            self._looking = asyncio.get_running_loop().create_task(self._look_for_server())
        log.info("jobs come from %s", "the server" if self.is_served else "the database")

    async def close(self) -> None:
        """Idempotent."""
        looking, self._looking = self._looking, None
        if looking is not None and looking is not asyncio.current_task():
            looking.cancel()
        await self._served.close()
        await self._own.close()

    async def _look_for_server(self) -> None:
        """Go back to the server as soon as it is there again."""
        while True:
            await asyncio.sleep(RETURN_SECONDS)
            try:
                await self._served.connect()
            except (DatabaseError, SourceLost) as error:
                log.debug("the server is not there yet: %s", error)
                continue
            self._looking = None
            await self.close()  # whoever reconnects takes the server
            self._ears.lose("given up, for the server is there again")
            return

    # both have the same number, and the same limits

    @property
    def supervisor(self) -> int:
        return self._now.supervisor

    @supervisor.setter
    def supervisor(self, number: int) -> None:
        self._served.supervisor = self._own.supervisor = number

    async def register(self, **columns: object) -> int:
        self.supervisor = number = await self._now.register(**columns)
        return number

    @property
    def per_host(self) -> PerHost:
        return self._now.per_host

    @per_host.setter
    def per_host(self, per_host: PerHost) -> None:
        self._served.per_host = self._own.per_host = per_host

    # the one that is used now

    @property
    def promotes(self) -> bool:
        return self._now.promotes

    @property
    def longest_silence(self) -> float:
        return self._now.longest_silence

    @property
    def said_asleep(self) -> bool:
        return self._now.said_asleep

    @property
    def schedules(self) -> ScheduleTable:
        return self._now.schedules

    @property
    def limits(self) -> LimitTable:
        return self._now.limits

    @property
    def connected(self) -> bool:
        return self._now.connected

    @property
    def loss(self) -> str:
        return self._now.loss

    @property
    def direct(self) -> bool:
        return self._now.direct

    @property
    def hears(self) -> bool:
        return self._now.hears

    async def listen(self) -> None:
        await self._now.listen()

    async def leave(self) -> None:
        await self._now.leave()

    async def beat(self, queues: Sequence[str], **columns: object) -> Beat:
        return await self._now.beat(queues, **columns)

    async def server_time(self) -> float:
        return await self._now.server_time()

    async def predecessor(self, supervisor: int, host: str, pid: int) -> bool:
        return await self._now.predecessor(supervisor, host, pid)

    async def rescue(self, dead: int, max_lost: int) -> int:
        return await self._now.rescue(dead, max_lost)

    async def turn(
        self,
        entries: Sequence[Entry],
        pull: Pull | None,
        *,
        promote: int = 0,
        notes: Sequence[Note] = (),
    ) -> Turn:
        return await self._now.turn(entries, pull, promote=promote, notes=notes)

    async def own_claims(self, since: int, *, routine: bool = False) -> list[Held]:
        return await self._now.own_claims(since, routine=routine)

    async def cancelling(self) -> list[CancelRequest]:
        return await self._now.cancelling()

    async def sleep(self, queues: Sequence[str], look_every: float, most: int = 1) -> None:
        await self._now.sleep(queues, look_every, most)

    async def look(self, queues: Sequence[str]) -> Look:
        return await self._now.look(queues)

    async def want_nothing(self) -> None:
        await self._now.want_nothing()


class EitherUpkeep:
    """The server does it, while there is one."""

    def __init__(self, source: EitherSource, own: Upkeep) -> None:
        self._source = source
        self._own = own

    @property
    def _now(self) -> Upkeep:
        return NoUpkeep() if self._source.is_served else self._own

    @property
    def next_verdict(self) -> float:
        return self._now.next_verdict

    def reconnected(self) -> None:
        self._own.reconnected()

    async def look_after(self, beat: Beat) -> int:
        return await self._now.look_after(beat)

    async def stop(self) -> None:
        await self._own.stop()
