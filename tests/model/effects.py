"""What a transaction will have done once it commits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wsup.sql.settlement import Entry


@dataclass(frozen=True)
class Request:
    queue: str
    priority: int
    retries: int
    later: bool = False
    unique_key: str | None = None
    #: May they end in whatever way?
    parents: Mapping[int, bool] = field(default_factory=dict)
    #: Of which only so many run at once.
    key: str | None = None


@dataclass(frozen=True)
class Enqueued:
    job: int
    request: Request
    #: Where it stands, and which parents it waits for: may they end in whatever way?
    state: str
    waits: dict[int, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Replaced:
    """A job that had not started, by another request of its key."""

    job: int
    request: Request
    state: str


@dataclass(frozen=True)
class Settled:
    supervisor: int
    entries: list[Entry]
    refused: int


@dataclass(frozen=True)
class Promoted:
    count: int


@dataclass(frozen=True)
class Pulled:
    supervisor: int
    rows: list[tuple[Any, ...]]
    #: What was to be cancelled when it was pulled: nothing of that may be among it.
    asked: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Rescued:
    dead: int
    count: int
    #: The claims that it must take: those that were there, unless some may have been locked.
    claims: frozenset[int]


@dataclass(frozen=True)
class Cancelled:
    """By an operator."""

    job: int


@dataclass(frozen=True)
class Retried:
    """By an operator."""

    job: int
    state: str
    waits: dict[int, bool]


@dataclass(frozen=True)
class Purged:
    job: int


@dataclass(frozen=True)
class KeyLimited:
    """A key, by an operator; None: what its jobs say."""

    key: str
    limit: int | None


@dataclass(frozen=True)
class Limit:
    """Of a task or a queue; None: none."""

    max_running: int | None = None
    per_day: int | None = None
    burst: int | None = None
    per_host: int | None = None


@dataclass(frozen=True)
class Limited:
    """By an operator."""

    gate: str
    limit: Limit


@dataclass(frozen=True)
class Ordered:
    """A queue, by an operator."""

    queue: str
    fair: bool
    ageing: bool


@dataclass(frozen=True)
class Asked:
    """To be cancelled, by an operator: somebody holds it."""

    job: int
