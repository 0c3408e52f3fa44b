"""What was asked for beside plain jobs: who waits for whom, which keys, what was cancelled."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from .fates import Fate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Child(NamedTuple):
    """A job that waits for others."""

    job: int
    #: Those that must succeed for it to run …
    after: tuple[int, ...]
    #: … and those that must be over.
    after_lax: tuple[int, ...] = ()


class Unique(NamedTuple):
    """One answer to a call with a unique key."""

    job: int
    key: str
    #: "new", "existing" or "replaced".
    made: str
    #: What the job returns, if it was made or replaced by this call.
    version: int
    #: When the call was over, and its transaction still open: seconds on CLOCK_MONOTONIC.
    answered: float


class Cancelled(NamedTuple):
    """One answer to a request to cancel a job."""

    job: int
    #: "cancelled", "cancelling", or how it had ended.
    answer: str


class Keyed(NamedTuple):
    """A job with a key, of whose jobs so many may run at once."""

    job: int
    key: str
    limit: int


class Limited(NamedTuple):
    """A job of a task with a limit."""

    job: int
    #: Its kind.
    task: str


class Shared(NamedTuple):
    """A job of a tenant, in a queue that is fair or was a moment ago."""

    job: int
    tenant: str


Request: TypeAlias = Child | Unique | Cancelled | Keyed | Limited | Shared


class Filed(NamedTuple):
    """A request whose transaction was not rolled back."""

    request: Request
    fate: Fate
    #: When that was known: seconds on CLOCK_MONOTONIC.
    at: float


class Requests:
    """Appended to by several threads, read when they have ended."""

    def __init__(self) -> None:
        self._filed: list[Filed] = []

    def note(self, requests: Iterable[Request], fate: Fate) -> None:
        """To be called as soon as the fate of their transaction is known."""
        at = time.monotonic()
        if fate is not Fate.ROLLED_BACK:
            self._filed.extend(Filed(request, fate, at) for request in requests)

    def __iter__(self) -> Iterator[Filed]:
        return iter(self._filed)

    def count(self, kind: type[Request]) -> int:
        return sum(isinstance(request, kind) for request, _fate, _at in self._filed)

    def jobs(self) -> set[int]:
        """All that a request names."""
        found = set()
        for request, _fate, _at in self._filed:
            found.add(request.job)
            if isinstance(request, Child):
                found.update(request.after, request.after_lax)
        return found
