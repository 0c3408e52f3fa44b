"""Where jobs come from and results go to, as the supervisor knows it: the seam.

`Database` (database.py) is PostgreSQL itself, `Server` (served.py) speaks for it over HTTP.
Nothing else here knows with which one it deals.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from ..config.settings import Settings
from ..sql.answers import Beat, CancelRequest, Held, Look, Pull, Row, Turn
from ..sql.limits import PerHost, Said
from ..sql.notes import Note
from ..sql.schedules import Definition, Move, Scheduled
from ..sql.settlement import Entry


class ScheduleTable(Protocol):
    """The schedules of an app; each verb raises SourceLost."""

    async def define(
        self, app: str, definitions: Sequence[Definition]
    ) -> list[tuple[str, str]]: ...
    async def define_queues(
        self, app: str, queues: Sequence[tuple[str, bool, float]]
    ) -> list[tuple[str, str]]: ...
    async def read(self, app: str) -> list[Scheduled]: ...
    async def tick(self, app: str, moves: Sequence[Move]) -> set[str]: ...


class LimitTable(Protocol):
    """The limits of an app; each verb raises SourceLost."""

    async def define(self, app: str, said: Sequence[Said]) -> list[tuple[str, str, str]]: ...
    async def per_host(self) -> dict[str, int | None]: ...


class Source(Protocol):
    """The verbs of a turn, and those by which a supervisor is known to be alive.

    Each raises SourceLost when nothing could be done; whether it was done is then unknown.
    """

    supervisor: int
    #: The tasks of which so many jobs run on this host at most.
    per_host: PerHost

    @property
    def promotes(self) -> bool:
        """Is it for the turns to make ready what has fallen due?"""

    @property
    def longest_silence(self) -> float:
        """For how many seconds it may give no sign of life, because it would be told if others had
        begun to work, and to watch it."""

    @property
    def said_asleep(self) -> bool:
        """Is it known there that this supervisor sleeps, and is to be called for new jobs?"""

    @property
    def schedules(self) -> ScheduleTable: ...
    @property
    def limits(self) -> LimitTable: ...
    @property
    def connected(self) -> bool: ...
    @property
    def loss(self) -> str: ...
    @property
    def direct(self) -> bool: ...
    @property
    def hears(self) -> bool: ...

    async def connect(self) -> None: ...
    async def listen(self) -> None: ...
    async def close(self) -> None: ...

    async def register(self, **columns: object) -> int: ...
    async def leave(self) -> None: ...
    async def beat(self, queues: Sequence[str], **columns: object) -> Beat: ...
    async def server_time(self) -> float: ...
    async def predecessor(self, supervisor: int, host: str, pid: int) -> bool: ...
    async def rescue(self, dead: int, max_lost: int) -> int: ...

    async def turn(
        self,
        entries: Sequence[Entry],
        pull: Pull | None,
        *,
        promote: int = 0,
        notes: Sequence[Note] = (),
    ) -> Turn: ...
    async def own_claims(self, since: int, *, routine: bool = False) -> list[Held]: ...
    async def cancelling(self) -> list[CancelRequest]: ...
    async def sleep(self, queues: Sequence[str], look_every: float, most: int = 1) -> None: ...
    async def look(self, queues: Sequence[str]) -> Look: ...
    async def want_nothing(self) -> None:
        """No jobs are brought until it sleeps again; what was on its way has come."""


class Upkeep(Protocol):
    """What a supervisor does, beside its own jobs, for the database and for the other ones."""

    @property
    def next_verdict(self) -> float: ...
    def reconnected(self) -> None: ...
    async def look_after(self, beat: Beat) -> int: ...
    async def stop(self) -> None: ...


class Ears(Protocol):
    """Whom a source tells what it hears by itself."""

    def hear(self, payload: str) -> None: ...
    def bring(self, rows: list[Row]) -> None: ...
    def lose(self, reason: str) -> None: ...
    def wanted(self) -> int:
        """How many jobs could be taken now?"""


class Origin(Protocol):
    """What to connect to, and how."""

    #: For people; without any password.
    name: str

    def first_look(self, tries: int) -> None: ...
    def open(self, settings: Callable[[], Settings], ears: Ears) -> tuple[Source, Upkeep]: ...
