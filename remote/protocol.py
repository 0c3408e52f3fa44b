"""What a supervisor and a server say to each other: MessagePack in HTTP bodies.

One request is one turn: results and notes go up, jobs come down. A turn that waits (`ear` is above
0) has only a demand; it is answered when there are jobs, or something to be heard, or no longer.
New fields go to the end, with defaults; what an old one can't read is a new version.
"""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import msgspec

from ..sql.answers import Row
from ..sql.bounds import Bigint, Count, Integer, Name, Real, Smallint, Text
from ..sql.notes import Note
from ..sql.schedules import Definition, Move
from ..sql.settlement import Back, Failure, Over

#: The versions of this protocol that are spoken here.
OLDEST, NEWEST = 1, 1
#: Seconds that a server keeps a waiting turn at most: proxies cut what is silent for a minute.
WAIT_SECONDS = 25.0
#: The media type of all bodies.
MEDIA = "application/msgpack"


class Hello(msgspec.Struct):
    oldest: Count
    newest: Count
    #: Of wsup.
    version: Text


class Welcome(msgspec.Struct):
    protocol: int
    version: str
    #: Bytes that a request may have, packed or not.
    most_bytes: int
    #: What its token allows.
    verbs: tuple[str, ...] = ("run", "schedule")


class Refusal(msgspec.Struct):
    """The body of every answer that is an error."""

    error: str


class Registration(msgspec.Struct):
    host: Text
    pid: Count
    version: Text
    queues: list[Name]
    subworkers: Smallint
    #: Seconds without a sign of life after which it is dead.
    lease: Annotated[float, msgspec.Meta(ge=1, le=1e6)]
    #: Processors that it may use.
    cpus: Smallint | None = None


class Registered(msgspec.Struct):
    supervisor: int


class TurnRequest(msgspec.Struct, array_like=True):
    supervisor: Integer
    over: list[Over] = []
    back: list[Back] = []
    failed: list[Failure] = []
    notes: list[Note] = []
    #: Up to `most` jobs of these queues are wanted.
    queues: list[Name] = []
    most: Count = 0
    #: Above 0: it waits, and ends the waiting ones with lower numbers.
    ear: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    #: Tasks that are limited on each host, and for how many jobs of them there is room.
    rooms: list[tuple[Name, Count]] = []


class Ended(NamedTuple):
    """An entry that was settled as a failure."""

    claim: int
    job: int


class TurnReply(msgspec.Struct, array_like=True):
    rows: list[Row] = []
    refused: int = 0
    #: Claims that somebody else had locked: what was said of their jobs is to be sent again.
    deferred: list[int] = []
    deferred_notes: list[int] = []
    culprits: list[Ended] = []
    #: What the database has called out meanwhile.
    heard: list[str] = []


class BeatRequest(msgspec.Struct):
    supervisor: Integer
    jobs_done: Bigint
    memory: Bigint | None
    #: Share of busy subworkers over 15 s, 5 min, 30 min.
    occupancy: list[Real]


class BeatReply(msgspec.Struct):
    #: False: its jobs were given to others.
    alive: bool
    #: There are requests to cancel jobs.
    cancelling: bool
    #: Seconds since 1970, by the database's clock.
    server_time: float
    #: The token is to be renewed.
    renew: bool = False


class About(msgspec.Struct):
    """A request that needs no more than to say who asks."""

    supervisor: Integer


class ClaimsRequest(msgspec.Struct):
    supervisor: Integer
    since: Bigint
    #: Nothing is known to have gone wrong: what was true some seconds ago will do.
    routine: bool = False


class PredecessorRequest(msgspec.Struct):
    supervisor: Integer
    host: Text
    pid: Integer


class RescueRequest(msgspec.Struct):
    dead: Integer
    max_lost: Count


class Define(msgspec.Struct):
    app: Text
    definitions: Sequence[Definition]


class DefineQueues(msgspec.Struct):
    app: Text
    queues: list[tuple[Name, bool, Real]]


class Limited(NamedTuple):
    """What an app's code says of a task, a queue or a key; `limits` is JSON."""

    kind: Text
    name: Text
    limits: Text


class DefineLimits(msgspec.Struct):
    app: Text
    said: list[Limited]


class Read(msgspec.Struct):
    app: Text


class Tick(msgspec.Struct):
    app: Text
    moves: Sequence[Move]


_encoder = msgspec.msgpack.Encoder()
_decoders: dict[Any, msgspec.msgpack.Decoder[Any]] = {}


def encode(message: object) -> bytes:
    return _encoder.encode(message)


def decode(data: bytes, kind: Any) -> Any:
    """Raises msgspec.DecodeError."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    return decoder.decode(data)
