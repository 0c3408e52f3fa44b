"""What a running task can know of its job, and the ways in which it can end it early."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

import msgspec

from .call import CurrentCall
from .ending import Ending, Stage
from .notes import Notes, decode_checkpoint, encode_checkpoint
from .parents import ParentJob, read_parents

if TYPE_CHECKING:  # the types of what users bring along; nothing is done with it here
    from psycopg import AsyncConnection, Connection
    from psycopg.rows import TupleRow

    from .contract import Finisher

T = TypeVar("T")
C = TypeVar("C", bound="Connection[Any]")
A = TypeVar("A", bound="AsyncConnection[Any]")
C_co = TypeVar("C_co", bound="Connection[Any]", covariant=True)
A_co = TypeVar("A_co", bound="AsyncConnection[Any]", covariant=True)

#: Several threads of a job may be the first to note something.
_BEGINNING = threading.RLock()

#: Seconds that a job may be put off at most (100 years); more is a mistake.
LONGEST_WAIT = 100 * 366 * 86400.0


class Lender(Protocol[C_co]):
    """A pool of connections, such as psycopg_pool.ConnectionPool."""

    def connection(self) -> AbstractContextManager[C_co]: ...


class AsyncLender(Protocol[A_co]):
    """A pool of connections, such as psycopg_pool.AsyncConnectionPool."""

    def connection(self) -> AbstractAsyncContextManager[A_co]: ...


class CurrentJob:
    """The job that is being run: `current_job()` inside a task."""

    __slots__ = (
        "_end",
        "_kept",
        "_parents",
        "_place",
        "attempt",
        "claim",
        "deadline",
        "ending",
        "id",
        "notes",
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
        scheduled_for: datetime | None,
        parents: bytes | msgspec.Raw,
        claim: int,
        place: int | None,
        kept: str | None,
        end: "Callable[[CurrentJob], tuple[Ending, Finisher]]",
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
        #: With which it was pulled.
        self.claim = claim
        #: Of the board; None in a call for several jobs, which share one.
        self._place = place
        #: The checkpoint of an earlier attempt, as JSON.
        self._kept: str | bytes | None = kept
        #: What this attempt has said of itself: the subworker's own. None as long as it is nothing.
        self.notes: Notes | None = None
        #: By a transaction of the task's own, if it has begun one.
        self.ending: Ending | None = None
        self._end = end

    @property
    def parents(self) -> "list[ParentJob]":
        """The jobs that this one has waited for, in the order in which they were named."""
        return read_parents(self._parents) if bytes(self._parents) else []

    @overload
    def transaction(self) -> "AbstractContextManager[Connection[TupleRow]]": ...
    @overload
    def transaction(self, connection: C) -> AbstractContextManager[C]: ...
    @overload
    def transaction(self, connection: Lender[C]) -> AbstractContextManager[C]: ...
    def transaction(self, connection: Any = None) -> AbstractContextManager[Any]:
        """A transaction whose commit also ends this job: `with job.transaction() as conn:`.

        What is written through `conn` is committed together with the job's success when the block
        ends, or, if it raises, not at all; so it happens exactly once, whatever dies when. Without
        `connection` it is one of the app's own; else a psycopg connection to the same database that
        is in no transaction, or a pool of such. The job's result is what `set_result` was given.

        The commit raises JobLost if the job was meanwhile given to others, or settled, and
        ConnectionLost if the database has not answered: it may be done, or not, and if not, the job
        is tried again. Both should end the task. Raises TaskError for a connection that won't do.
        """
        self.ending, finisher = self._end(self)
        return finisher.begin(self.ending, connection)

    @overload
    def atransaction(self) -> "AbstractAsyncContextManager[AsyncConnection[TupleRow]]": ...
    @overload
    def atransaction(self, connection: A) -> AbstractAsyncContextManager[A]: ...
    @overload
    def atransaction(self, connection: AsyncLender[A]) -> AbstractAsyncContextManager[A]: ...
    def atransaction(self, connection: Any = None) -> AbstractAsyncContextManager[Any]:
        """`transaction` for asyncio: `async with job.atransaction() as conn:`."""
        self.ending, finisher = self._end(self)
        return finisher.abegin(self.ending, connection)

    def set_result(self, result: object) -> None:
        """What the job's result is to be, once its `transaction` is committed.

        Raises LookupError outside such a transaction: there, a task returns its result.
        """
        if self.ending is None or self.ending.stage is not Stage.OPEN:
            raise LookupError("set_result() is for inside of current_job().transaction()")
        self.ending.result = result

    def seconds_left(self) -> float | None:
        """Seconds until the time-out of this attempt, or None if it has none."""
        return None if self.deadline is None else self.deadline - time.monotonic()

    def progress(self, fraction: float, message: str = "") -> None:
        """Say how far this job is: `fraction` from 0 to 1, and, if you like, in words.

        Costs a few microseconds, however often it is called: the latest one is picked up several
        times a second (`wsup jobs show ID --follow`, `job.progress()`), and stays when the attempt
        ends. Of the words, 1,000 characters are kept. Raises ValueError.
        """
        try:
            done = float(fraction)
        except (TypeError, ValueError):
            done = -1.0
        if not 0 <= done <= 1:
            raise ValueError(f"progress({fraction!r}): give a number from 0 to 1")
        (self.notes or self.begin_notes()).progress(done, str(message))

    def checkpoint(self, value: object) -> None:
        """Keep `value` for a later attempt of this job, in place of what was kept before.

        It is copied at once, as JSON of at most 64 KiB, into memory that outlives this process; a
        turn of the supervisor's stores it within half a second, and at the latest with the end of
        the attempt. Raises CheckpointError.
        """
        data = encode_checkpoint(value)
        (self.notes or self.begin_notes()).keep(data)
        self._kept = data

    @overload
    def last_checkpoint(self) -> Any: ...
    @overload
    def last_checkpoint(self, kind: type[T]) -> T | None: ...
    def last_checkpoint(self, kind: Any = Any) -> Any:
        """What this job has kept last, in this attempt or an earlier one; None if nothing.

        With `kind`, such as `int`, `list[str]` or a dataclass, it is made one. Raises
        CheckpointError if it can't be.
        """
        return None if self._kept is None else decode_checkpoint(self._kept, kind)

    def begin_notes(self) -> Notes:
        """The first note of this attempt is to be made."""
        with _BEGINNING:
            if self.notes is None:
                self.notes = Notes(self, self.claim, self._place)
            return self.notes


CURRENT: ContextVar[CurrentJob | CurrentCall] = ContextVar("wsup_current_job")


def current_job() -> CurrentJob:
    """The job that the calling task runs for. Raises LookupError outside a task, and in a batch
    task, which runs for several."""
    try:
        current = CURRENT.get()
    except LookupError:
        raise LookupError("current_job() is known only inside a running task") from None
    if isinstance(current, CurrentCall):
        raise LookupError("this task runs for several jobs: see current_batch()")
    return current


def current_batch() -> list[CurrentJob]:
    """The jobs that the calling batch task runs for, in the order of its arguments.

    Raises LookupError outside a task.
    """
    try:
        current = CURRENT.get()
    except LookupError:
        raise LookupError("current_batch() is known only inside a running task") from None
    return list(current.jobs) if isinstance(current, CurrentCall) else [current]


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
