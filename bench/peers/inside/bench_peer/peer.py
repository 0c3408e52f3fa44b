"""What an adapter has to say about its system."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

#: The arguments of one job, by name.
Args: TypeAlias = dict[str, Any]


class Unsupported(Exception):
    """The system has no such feature."""


class Counts(NamedTuple):
    """How many jobs the system itself says are where."""

    #: Ended well.
    done: int
    #: Ended otherwise, or will be tried again.
    failed: int
    #: Not begun, or under way.
    left: int


class Peer(ABC):
    """One system. `work` runs in the worker processes, everything else in one client process."""

    @abstractmethod
    def prepare(self) -> None:
        """Create the schema in the empty database (or Redis)."""

    @abstractmethod
    def enqueue(self, task: str, args: Args) -> None:
        """Enqueue one job; it is committed when this returns."""

    @abstractmethod
    def enqueue_many(self, task: str, many: Sequence[Args]) -> None:
        """Enqueue all of these, by the system's fastest way."""

    def enqueue_in_transaction(self, task: str, args: Args) -> None:
        """In one transaction of a caller's: a row into `own (number)`, and the job. Commit."""
        raise Unsupported("it can't enqueue within a caller's transaction")

    def enqueue_for_tomorrow(self, task: str, many: Sequence[Args]) -> None:
        """Enqueue all of these for the day after, with a priority above all others."""
        raise Unsupported("it can't enqueue for a later time in bulk")

    def enqueue_keyed(self, task: str, many: Sequence[Args], keys: Sequence[str]) -> None:
        """Enqueue all of these, with a key each: of those with the same, one runs at a time."""
        raise Unsupported("it can't enqueue jobs that run one at a time")

    def hold(self, task: str, args: Args) -> None:
        """On a connection of its own: begin a transaction, enqueue the job, and leave it open."""
        raise Unsupported("it can't enqueue within a caller's transaction")

    def release(self) -> None:
        """Commit what `hold` has begun."""
        raise Unsupported("it can't enqueue within a caller's transaction")

    @abstractmethod
    def is_settled(self) -> bool:
        """Is no job left, waiting or running? Asked every few ms at the end: a cheap question."""

    @abstractmethod
    def counts(self) -> Counts:
        """Asked once, when it is settled."""

    def results(self) -> Iterable[Any] | None:
        """Every result that is kept, as the task returned it; None if the system keeps none."""
        return None

    @abstractmethod
    def work(self) -> None:
        """Be a worker until SIGTERM; os.exec* is welcome."""

    def serve(self) -> None:
        """Be what stands between the workers and the database, at PORT, where `served` is set."""
        raise Unsupported("its workers go to the database themselves")
