"""What the database answers to a supervisor, and what it is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from .notes import Note
from .settlement import Entry

#: A pulled job: claim, job, attempt, task, queue, args, options.
Row = tuple[int, int, int, str, str, str, str | None]


#: The queue of the marks by which keys are served: whoever pulls from it serves them.
KEY_MARKS = "\x01"


#: Between the queue and the task in the name of a stream: of the jobs in it, a host runs so many.
STREAM = "\x03"


def subscribed(queues: Sequence[str], tasks: Sequence[str] = ()) -> list[str]:
    """What a supervisor of these queues, and streams of these tasks, pulls from, and hears of."""
    return [*queues, *(f"{queue}{STREAM}{task}" for queue in queues for task in tasks), KEY_MARKS]


class SourceLost(Exception):
    """The database can't be reached, or can't do its work, for now."""


class Unfit(SourceLost):
    """The database is there, and refuses what it was asked for: it would do so again."""


class Pull(NamedTuple):
    """What to pull: up to `most` jobs of these queues."""

    queues: Sequence[str]
    most: int
    #: Say also that this supervisor no longer sleeps.
    wake: bool = False


class Served(NamedTuple):
    """Of a turn for several supervisors: who they are."""

    #: Whose each claim is that is spoken of.
    holders: Mapping[int, int]
    #: Who pulls, and how many jobs each could take; `Pull.most` is their sum.
    shares: Mapping[int, int]
    #: For how many jobs of which tasks each has room, of those that are limited on each host.
    rooms: Mapping[int, Sequence[tuple[str, int]]] = {}


@dataclass
class Turn:
    """What one turn has brought."""

    rows: list[Row] = field(default_factory=list)
    #: The same by supervisor, where several have pulled.
    shared: dict[int, list[Row]] = field(default_factory=dict)
    #: The claims of results that were refused, one each; only where several have spoken.
    late: list[int] | None = None
    #: Results that were not accepted, because their jobs are no longer in their claims.
    refused: int = 0
    #: Jobs whose turn has come by what was settled.
    passed: int = 0
    #: Entries of claims that somebody else had locked: to be sent again.
    deferred: list[Entry] = field(default_factory=list)
    #: Notes, likewise.
    deferred_notes: list[Note] = field(default_factory=list)
    #: Seconds until the next waiting job is due; None: no job waits, or it was not asked.
    next_due: float | None = None
    #: Entries that the database would not store, each now settled as a failure.
    culprits: list[Entry] = field(default_factory=list)


@dataclass(frozen=True)
class Beat:
    alive: bool
    claimed: bool
    ready: bool
    next_due: float | None
    dead_rows: list[int]
    #: There are requests to cancel jobs, of this supervisor or others.
    cancelling: bool
    #: Seconds since 1970, by the server's clock.
    server_time: float


@dataclass(frozen=True)
class Look:
    ready: bool
    next_due: float | None
    writers: list[str]


@dataclass(frozen=True)
class Peer:
    id: int
    beat: int
    lease: float
    connected: bool


class CancelRequest(NamedTuple):
    """Somebody wants a job cancelled that a claim holds."""

    claim: int
    job: int
    #: Whether its process is to be killed if it goes on.
    kill: bool
    requested_at: datetime


@dataclass(frozen=True)
class Held:
    """A (job, attempt) pair that a claim holds."""

    claim: int
    job: int
    attempt: int
