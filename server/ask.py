"""A supervisor's part in a turn of the server's, and what of the turn is its own."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from ..sql.answers import Row, Turn
from ..sql.notes import Note
from ..sql.settlement import Entry

Queues = tuple[str, ...]

#: Jobs that a turn pulls at most, and bytes of args, at about.
MOST_JOBS, MOST_JOB_BYTES = 5_000, 32 << 20
#: What the size of the jobs of a turn still counts for at the next one.
SIZE_DECAY = 0.9


@dataclass(eq=False)
class Ask:
    """One supervisor's part in a turn. The answer is what of the turn is its own."""

    supervisor: int
    entries: Sequence[Entry] = ()
    notes: Sequence[Note] = ()
    queues: Queues = ()
    most: int = 0
    #: Tasks that are limited on each host, and for how many jobs of each there is room.
    rooms: Sequence[tuple[str, int]] = ()
    #: It has nothing but a demand, and stays until that is met, or it is to end.
    waits: bool = False
    ends: bool = False
    answer: asyncio.Future[Turn] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    #: About how many bytes it brings.
    size: int = 0
    #: What it speaks of.
    claims: set[int] = field(init=False)

    def __post_init__(self) -> None:
        self.claims = {entry.claim for entry in self.entries}
        self.claims.update(note.claim for note in self.notes)


class Room:
    """How many jobs a turn may pull: fewer, where the last ones were large."""

    def __init__(self) -> None:
        self._bytes = 1.0

    @property
    def jobs(self) -> int:
        return min(MOST_JOBS, int(MOST_JOB_BYTES / self._bytes))

    def learn(self, rows: Sequence[Row]) -> None:
        if rows:
            size = sum(len(row[5]) for row in rows) / len(rows)
            self._bytes = max(1.0, size, SIZE_DECAY * self._bytes)


class Left:
    """For how many jobs of limited tasks each had room left, when a pull found no more of them."""

    def __init__(self) -> None:
        self._left: dict[Queues, dict[int, dict[str, int]]] = {}

    def note(
        self, queues: Queues, pulling: Sequence[Ask], given: Mapping[int, Sequence[Row]]
    ) -> None:
        left = self._left[queues] = {}
        for ask in pulling:
            got = Counter(row[3] for row in given.get(ask.supervisor, ()))
            left[ask.supervisor] = {task: room - got[task] for task, room in ask.rooms}

    def has_grown(self, ask: Ask) -> bool:
        """Could it get some now that it could not then?"""
        left = self._left.get(ask.queues, {}).get(ask.supervisor, {})
        return any(room > left.get(task, 0) for task, room in ask.rooms)


def rooms_of(pulling: Sequence[Ask]) -> dict[int, Sequence[tuple[str, int]]]:
    """By supervisor, for what it has room; empty where nothing is limited."""
    return {
        ask.supervisor: rooms
        for ask in pulling
        if (rooms := [(task, room) for task, room in ask.rooms if room])
    }


def part_of(turn: Turn, claims: Set[int]) -> Turn:
    """What of a turn is about these claims, but for the jobs."""
    return Turn(
        refused=sum(claim in claims for claim in turn.late or ()),
        deferred=[entry for entry in turn.deferred if entry.claim in claims],
        deferred_notes=[note for note in turn.deferred_notes if note.claim in claims],
        culprits=[entry for entry in turn.culprits if entry.claim in claims],
    )


def shares_of(pulling: Sequence[Ask], most: int) -> dict[int, int]:
    """How many jobs each may get, `most` together at about. Who comes first changes from turn to
    turn, for who has got jobs comes back behind the others."""
    shares: dict[int, int] = {}
    for ask in pulling:
        shares[ask.supervisor] = shares.get(ask.supervisor, 0) + ask.most
    total = sum(shares.values())
    if total > most:
        shares = {one: max(1, wanted * most // total) for one, wanted in shares.items()}
    return shares
