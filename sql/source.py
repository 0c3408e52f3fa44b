"""PostgreSQL as the supervisor sees it: the verbs of a turn, and what keeps it going.

Two connections: one for the turns, which may go through a transaction pooler, and one that is
direct (`listener.py`).
"""

import math
from collections.abc import Sequence

from .answers import Beat, CancelRequest, Held, Look, Peer, Pull, Served, Turn, subscribed
from .exchange import Exchange
from .lanes import LaneTable
from .limits import LimitTable, PerHost
from .listener import Listener
from .notes import Note
from .schedules import ScheduleTable
from .serving import Serving
from .session import Session
from .settlement import Entry


class PostgresSource:
    #: Turns have to make ready what has fallen due.
    promotes = True
    #: Whoever gets jobs, and so needs to be watched, says so to those who sleep.
    longest_silence = math.inf

    def __init__(
        self,
        dsn: str,
        *,
        listener: Listener | None = None,
        agent: str | None = None,
        statement_seconds: float = 30.0,
    ) -> None:
        self._session = Session(dsn, statement_seconds=statement_seconds)
        self._listener = listener
        #: By what name a server knows this supervisor, which has this way, too.
        self._agent = agent
        self._exchange = Exchange(self._session, listener)
        self.schedules = ScheduleTable(self._session)
        self.limits = LimitTable(self._session)
        self.lanes = LaneTable(self._session)
        self.serving = Serving(self._session)
        #: The database believes that this supervisor sleeps.
        self.said_asleep = False

    @property
    def supervisor(self) -> int:
        """Its number, once it is registered."""
        return self._exchange.supervisor

    @supervisor.setter
    def supervisor(self, number: int) -> None:
        self._exchange.supervisor = number

    @property
    def per_host(self) -> PerHost:
        """The tasks of which this host runs so many jobs at most."""
        return self._exchange.per_host

    @per_host.setter
    def per_host(self, per_host: PerHost) -> None:
        self._exchange.per_host = per_host

    def _open(self, queues: Sequence[str]) -> list[str]:
        """What may be pulled from now: those streams, too, for whose tasks there is room."""
        return subscribed(queues, [task for task, _ in self.per_host.rooms(1)])

    @property
    def connected(self) -> bool:
        return self._session.connected

    @property
    def loss(self) -> str:
        """Why there is no connection, if there is none."""
        return self._session.loss

    @property
    def direct(self) -> bool:
        """Is it to hear of new jobs, and do others see by that whether it lives?"""
        return self._listener is not None and self._listener.direct

    @property
    def hears(self) -> bool:
        return self._listener is not None and self._listener.connected

    async def connect(self) -> None:
        """(Re)connect, but for the ear. Raises DatabaseError, SourceLost."""
        await self._session.connect()

    async def listen(self) -> None:
        """(Re)connect the ear, if there is to be one. Raises DatabaseError, SourceLost."""
        if self._listener is not None:
            await self._listener.connect(self.supervisor)

    async def close(self) -> None:
        """Idempotent."""
        if self._listener is not None:
            await self._listener.close()
        await self._session.close()

    async def turn(
        self,
        entries: Sequence[Entry],
        pull: Pull | None,
        *,
        promote: int = 0,
        notes: Sequence[Note] = (),
        served: Served | None = None,
    ) -> Turn:
        """See `Exchange.turn`."""
        turn = await self._exchange.turn(entries, pull, promote=promote, notes=notes, served=served)
        if pull is not None and pull.wake:
            self.said_asleep = False
        return turn

    async def register(self, **columns: object) -> int:
        """Enter the supervisor's row; its id is kept for every later call."""
        columns = {"agent": self._agent, "cpus": None, **columns}
        if self._agent is not None:
            columns["direct"] = False  # while it is served, it holds no lock
        number = self.supervisor = (await self._session.row("register", columns))[0]
        return int(number)

    async def leave(self) -> None:
        await self._session.row("leave", {"supervisor": self.supervisor})

    async def beat(self, queues: Sequence[str], **columns: object) -> Beat:
        own = {"supervisor": self.supervisor, "queues": self._open(queues)}
        return Beat(*await self._session.row("beat", {**own, **columns}))

    async def server_time(self) -> float:
        """Seconds since 1970, by the server's clock."""
        return float((await self._session.row("server_time", []))[0])

    async def sleep(self, queues: Sequence[str], look_every: float, most: int = 1) -> None:
        """Ask to be notified of new jobs in `queues`, and of those due within `look_every` s."""
        self.said_asleep = True  # also if the reply is lost: the word may be there all the same
        await self._session.row(
            "sleep",
            {
                "supervisor": self.supervisor,
                "queues": subscribed(queues, self.per_host.tasks),
                "look_every": look_every,
            },
        )

    async def look(self, queues: Sequence[str]) -> Look:
        return Look(*await self._session.row("look", [self._open(queues)]))

    async def want_nothing(self) -> None:
        """Nobody brings any jobs here: they are pulled."""

    async def peers(self) -> list[Peer]:
        return await self._session.rows("peers", [self.supervisor], lambda row: Peer(*row))

    async def rescue(self, dead: int, max_lost: int) -> int:
        """Give a dead supervisor's jobs to others; returns how many it held.

        It may be dead to us because it is stopped, and that amid a turn: nobody waits for the end
        of that. If it was another's turn, which is as slow, its supervisor reconnects.
        """
        await self._session.row("end_stalled", [])
        return int((await self._session.row("rescue", [dead, max_lost]))[0])

    async def predecessor(self, supervisor: int, host: str, pid: int) -> bool:
        """Is there still a row of that supervisor?"""
        return await self._session.row("predecessor", [supervisor, host, pid]) is not None

    async def own_claims(
        self, since: int, of: int | None = None, *, routine: bool = False
    ) -> list[Held]:
        """What the database thinks this supervisor (or another one) holds, in claims from number
        `since` on."""
        return await self._session.rows(
            "own_claims",
            {"supervisor": of or self.supervisor, "since": since},
            lambda row: Held(*row),
        )

    async def cancelling(self, of: int | None = None) -> list[CancelRequest]:
        """The requests to cancel jobs that this supervisor (or another one) holds."""
        holder: dict[str, object] = {"supervisor": of or self.supervisor}
        return await self._session.rows("cancelling", holder, lambda row: CancelRequest(*row))
