"""What a running task can know of its job, and the ways in which it can end it early."""

import time
from contextvars import ContextVar
from datetime import datetime, timedelta

import msgspec

from .parents import ParentJob, read_parents

#: Seconds that a job may be put off at most (100 years); more is a mistake.
LONGEST_WAIT = 100 * 366 * 86400.0


class CurrentJob:
    """The job that is being run: `current_job()` inside a task."""

    __slots__ = (
        "_parents",
        "attempt",
        "deadline",
        "id",
        "queue",
        "scheduled_for",
        "subworker",
        "task",
    )

    def __init__(
        self,
        id: int,
        task: str,
        queue: str,
        attempt: int,
        deadline: float | None,
        subworker: int,
        scheduled_for: datetime | None = None,
        parents: bytes | msgspec.Raw = b"",
    ) -> None:
        self.id = id
        self.task = task
        self.queue = queue
        #: 1 for the first attempt.
        self.attempt = attempt
        #: On the clock of `time.monotonic()`, in seconds; None without a time-out.
        self.deadline = deadline
        #: Which subworker of its host runs it, from 0.
        self.subworker = subworker
        #: The tick of the schedule that has asked for this job, however late it runs; None for a
        #: job that no schedule has asked for.
        self.scheduled_for = scheduled_for
        self._parents = parents

    @property
    def parents(self) -> "list[ParentJob]":
        """The jobs that this one has waited for, in the order in which they were named."""
        return read_parents(self._parents) if bytes(self._parents) else []

    def seconds_left(self) -> float | None:
        """Seconds until the time-out of this attempt, or None if it has none."""
        return None if self.deadline is None else self.deadline - time.monotonic()


CURRENT: ContextVar[CurrentJob] = ContextVar("wsup_current_job")


def current_job() -> CurrentJob:
    """The job that the calling task runs for. Raises LookupError outside a task."""
    try:
        return CURRENT.get()
    except LookupError:
        raise LookupError("current_job() is known only inside a running task") from None


def wait_seconds(value: float | timedelta, name: str) -> float:
    """`value` in seconds. Raises ValueError for a wait that nobody can mean."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if not 0 <= seconds <= LONGEST_WAIT:
        raise ValueError(f"{name}={value!r} is not a number of seconds from 0 to {LONGEST_WAIT:g}")
    return seconds


class Verdict(Exception):
    """A task decides itself how its job goes on."""


class Snooze(Verdict):
    """Run this job again later, at the same attempt. Raises ValueError for negative seconds."""

    def __init__(self, seconds: float | timedelta) -> None:
        self.seconds = wait_seconds(seconds, "seconds")
        super().__init__(f"snoozed for {self.seconds:g} s")


class Cancel(Verdict):
    """End this job as cancelled."""

    def __init__(self, reason: str = "cancelled by its task") -> None:
        self.reason = reason
        super().__init__(reason)


class CancelRequested(BaseException):
    """Somebody has asked for this job to be cancelled: raised inside a sync task, wherever it is
    (an async one gets asyncio.CancelledError).

    A task that catches it and returns has succeeded; however else it ends then, its job is
    cancelled. No Exception, so that nobody catches it by chance.
    """


class Retry(Verdict):
    """This attempt has failed; try again after `after` seconds, while retries are left.

    Without `after`, the task's own backoff says when. Raises ValueError for negative seconds.
    """

    def __init__(self, after: float | timedelta | None = None, reason: str = "") -> None:
        self.after = None if after is None else wait_seconds(after, "after")
        self.reason = reason or "the task asked for a retry"
        super().__init__(self.reason)
