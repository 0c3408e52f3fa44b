"""Until when a job may start, and until when it may go on, by the server's clock.

Looked at where an attempt starts, and where another one would follow. Nothing else knows of it: a
job that nobody is about to start stays where it is.
"""

from datetime import UTC, datetime
from typing import NamedTuple

from .contract import RunnableTask
from .job_options import JobOptions


class Expired(Exception):
    """The job was not started in time."""


class DeadlinePassed(Exception):
    """The job's deadline had passed before this attempt could start."""


class Limits(NamedTuple):
    """Seconds since 1970."""

    #: Until when the first attempt may start …
    expires: float | None
    #: … and until when any may go on.
    deadline: float | None

    @property
    def last_moment(self) -> str:
        return "" if self.deadline is None else _shown(self.deadline)

    @property
    def reached(self) -> str:
        """What is said of an attempt that the deadline has ended."""
        return f"the deadline, {self.last_moment}, was reached"

    def seconds_left(self, attempt: int, now: float | None) -> float | None:
        """How long an attempt that starts now may take; None: as long as it will.

        Raises Expired, DeadlinePassed if it comes too late.
        """
        if now is None:
            return None
        if attempt == 1 and self.expires is not None and now >= self.expires:
            raise Expired(f"not started by {_shown(self.expires)}")
        if self.deadline is None:
            return None
        if now < self.deadline:
            return self.deadline - now
        if attempt == 1:
            raise Expired(f"not started by its deadline, {self.last_moment}")
        raise DeadlinePassed(
            f"the deadline, {self.last_moment}, had passed before attempt {attempt} could start"
        )

    def forbids_retry(self, after: float, now: float | None) -> str:
        """Why no attempt follows in so many seconds; "" if one may."""
        if self.deadline is None or now is None or now + after < self.deadline:
            return ""
        return f" (not tried again: the deadline is {self.last_moment})"


NO_LIMITS = Limits(None, None)


def limits(options: JobOptions, task: RunnableTask | None = None) -> Limits:
    """The limits that a job was given. One that a schedule has enqueued was given none: those of
    its task count from its tick on."""
    if options.scheduled_for is not None and task is not None:
        tick = options.scheduled_for.timestamp()
        return Limits(_after(tick, task.expires), _after(tick, task.deadline))
    return Limits(_seconds(options.expires_at), _seconds(options.deadline))


def _after(tick: float, seconds: float | None) -> float | None:
    return None if seconds is None else tick + seconds


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def _shown(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "milliseconds")
