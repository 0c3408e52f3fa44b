"""A handle on a job: where it stands, and what came out of it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar, cast

from wsup.errors import (
    ArgumentsError,
    JobCancelled,
    JobError,
    JobExpired,
    JobFailed,
    JobNotFound,
    ResultTimeout,
    UsageError,
)
from wsup.notes import LogLine, Progress
from wsup.sql.pool import Pool
from wsup.sql.steps import Ask, Steps, Wait, adrive, drive
from wsup.states import UNFINISHED
from wsup.unique import Made
from wsup.values import Unfit, to_json

R = TypeVar("R")

#: Where a job can stand.
JobState: TypeAlias = Literal[
    "ready", "waiting", "blocked", "running", "succeeded", "failed", "cancelled", "expired"
]

#: What a request to cancel a job has come to: "cancelled" at once, "cancelling" if a supervisor has
#: taken it, or the state in which it had ended.
Cancellation: TypeAlias = Literal["cancelled", "cancelling", "succeeded", "failed", "expired"]

#: Seconds between two looks for a result: a share of the time waited so far, so that a wait is
#: prolonged by that share at most, within these bounds. So 1 s takes 40 looks, an hour 14,000.
FIRST_PAUSE: Final = 0.002
PAUSE_SHARE: Final = 0.1
LONGEST_PAUSE: Final = 0.25


def dump_any(args: Mapping[str, object]) -> bytes:
    """Arguments by name as JSON, of a task that is not known here. Raises ArgumentsError."""
    try:
        return to_json(dict(args))
    except Unfit as error:
        raise ArgumentsError(f"argument {error.where.lstrip('.')!r}: {error.what}") from None


@dataclass(frozen=True, slots=True)
class Reader(Generic[R]):
    """How the handles of one task look at their jobs."""

    pool: Pool
    #: Makes a result out of its JSON; None stands for null.
    load: Callable[[str | None], R]
    #: Whether the job may still be in a caller's open transaction, where nobody else sees it.
    pending: bool = False
    #: Makes JSON of a job's arguments by name.
    dump: Callable[[Mapping[str, object]], bytes] = dump_any


class Job(Generic[R]):
    """A job, whether it waits, runs, or has ended. Costs nothing to keep.

    It is looked at through the app's own connection, never through a caller's.
    """

    __slots__ = ("_made", "_reader", "id")

    def __init__(self, id: int, reader: Reader[R], made: Made | None = None) -> None:
        self.id: Final = id
        self._reader = reader
        self._made = made

    @property
    def is_new(self) -> bool:
        """Was the job made by the call that has returned this handle? Not so if another one had its
        unique key, nor for the handle of a job that was looked up."""
        return self._made == "new"

    @property
    def is_replaced(self) -> bool:
        """Was it there, and was changed by the call into what was asked for (on_conflict)?"""
        return self._made == "replaced"

    def status(self) -> JobState:
        """Where the job stands. Raises JobNotFound, also before the transaction that enqueued it
        is committed, and DatabaseError."""
        return drive(self._status(), self._reader.pool.perform)

    async def astatus(self) -> JobState:
        """`status` for asyncio."""
        return await adrive(self._status(), self._reader.pool.aperform)

    def result(self, timeout: float | None = None) -> R:
        """Wait until the job has ended, and return what its task returned.

        `timeout` is in seconds; 0 looks once. Raises JobFailed, JobCancelled, JobExpired for a job
        that has no result, ResultTimeout, JobNotFound, ResultError for a result that isn't what
        the task's annotation says, and DatabaseError. Inside a task this occupies a subworker: with
        all of them waiting, nobody would run what they wait for.
        """
        return drive(self._result(timeout), self._reader.pool.perform)

    async def aresult(self, timeout: float | None = None) -> R:  # noqa: ASYNC109
        """`result` for asyncio."""
        return await adrive(self._result(timeout), self._reader.pool.aperform)

    def cancel(self, *, kill: bool = False) -> Cancellation:
        """Have the job cancelled, and return without waiting for that.

        Not started, it never runs: "cancelled", or "cancelling" where a supervisor has taken it
        already. Running ("cancelling"), its task is interrupted: an async one by
        asyncio.CancelledError, a sync one by CancelRequested. One that catches it and returns has
        succeeded; else the job is cancelled, and not tried again. With `kill`, one that goes on for
        `kill_grace` seconds (a setting of the supervisor's), in C code for instance, is ended by
        SIGKILL. Called again, it interrupts again. For a job that had ended, it tells its state.

        Raises JobNotFound, also before the transaction that enqueued it is committed, and
        DatabaseError.
        """
        return drive(self._cancel(kill), self._reader.pool.perform)

    async def acancel(self, *, kill: bool = False) -> Cancellation:
        """`cancel` for asyncio."""
        return await adrive(self._cancel(kill), self._reader.pool.aperform)

    def rerun(self, args: Mapping[str, object] | None = None) -> "Job[R]":
        """Enqueue a finished job once more, as a new job, and return that.

        `args` are all of its arguments by name, instead of those that it had. What the old job was
        and how it ended stays as it is; the new one's options in the database name it. Raises
        ArgumentsError, UsageError for a job that has not ended, JobNotFound, and DatabaseError.
        """
        return drive(self._rerun(args), self._reader.pool.perform)

    async def arerun(self, args: Mapping[str, object] | None = None) -> "Job[R]":
        """`rerun` for asyncio."""
        return await adrive(self._rerun(args), self._reader.pool.aperform)

    def _rerun(self, args: Mapping[str, object] | None) -> "Steps[Job[R]]":
        data = None if args is None else self._reader.dump(args)
        return Job((yield from rerun(self.id, data)), self._reader)

    def progress(self) -> Progress | None:
        """How far the job has said it is; None if it has said nothing. Raises JobNotFound,
        DatabaseError."""
        return drive(self._progress(), self._reader.pool.perform)

    async def aprogress(self) -> Progress | None:
        """`progress` for asyncio."""
        return await adrive(self._progress(), self._reader.pool.aperform)

    def logs(self, attempt: int | None = None) -> list[LogLine]:
        """What was captured of the job, of all its attempts or of one, the oldest first.

        Raises JobNotFound, DatabaseError.
        """
        return drive(self._logs(attempt), self._reader.pool.perform)

    async def alogs(self, attempt: int | None = None) -> list[LogLine]:
        """`logs` for asyncio."""
        return await adrive(self._logs(attempt), self._reader.pool.aperform)

    def _progress(self) -> Steps[Progress | None]:
        rows = yield Ask("job_progress", (self.id,), repeatable=True)
        if not rows:
            raise not_found(self.id)
        return None if rows[0][0] is None else Progress(*rows[0])

    def _logs(self, attempt: int | None) -> Steps[list[LogLine]]:
        rows = yield Ask("job_logs", (attempt, self.id), repeatable=True)
        if not rows:
            raise not_found(self.id)
        return [LogLine(*row) for row in rows if row[0] is not None]

    def _cancel(self, kill: bool) -> Steps[Cancellation]:
        rows = yield Ask("job_cancel", (self.id, kill), repeatable=True)
        if rows[0][0] is None:
            raise not_found(self.id)
        return cast("Cancellation", rows[0][0])

    def _status(self) -> Steps[JobState]:
        return status(self.id)

    def _result(self, timeout: float | None) -> Steps[R]:
        started = time.monotonic()
        while True:
            rows = yield Ask("job_outcome", (self.id,), repeatable=True)
            if not rows and not self._reader.pending:
                raise not_found(self.id)
            if rows and rows[0][0] is not None:
                break
            waited = time.monotonic() - started
            if timeout is not None and waited >= timeout:
                raise ResultTimeout(
                    f"job {self.id} has not ended within {timeout:g} s", job_id=self.id
                )
            pause = min(max(FIRST_PAUSE, waited * PAUSE_SHARE), LONGEST_PAUSE)
            yield Wait(pause if timeout is None else min(pause, timeout - waited))
        state, result, reason = rows[0]
        if state == "succeeded":
            return self._reader.load(result)
        if state == "failed":
            rows = yield Ask("job_failure", (self.id,), repeatable=True)
            raise self._failed(rows)
        raise self._ended(state, reason)

    def _failed(self, rows: list[tuple[Any, ...]]) -> JobFailed:
        kind, message, traceback, attempt = rows[0] if rows else ("unknown", "", None, 0)
        return JobFailed(
            f"job {self.id} failed in attempt {attempt}: {kind}: {message}",
            job_id=self.id,
            type=kind,
            reason=message,
            traceback=traceback,
            attempt=attempt,
        )

    def _ended(self, state: str, reason: str | None) -> JobError:
        kind = JobExpired if state == "expired" else JobCancelled
        why = f": {reason}" if reason else ""
        return kind(f"job {self.id} is {state}{why}", job_id=self.id, reason=reason)

    def __repr__(self) -> str:
        return f"Job({self.id})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)


def status(job: int) -> Steps[JobState]:
    """Where a job stands. Raises JobNotFound."""
    rows = yield Ask("job_status", (job,), repeatable=True)
    if rows[0][0] is None:
        raise not_found(job)
    return cast("JobState", rows[0][0])


def rerun(job: int, args: bytes | None) -> Steps[int]:
    """Enqueue a finished job as a new one; returns its id. Raises JobNotFound, UsageError."""
    state = yield from status(job)
    if state in UNFINISHED:
        raise UsageError(f"job {job} is {state}: only a finished job is run once more: cancel it")
    rows = yield Ask("job_rerun", (job, None if args is None else args.decode()))
    return int(rows[0][0])


def not_found(job: int) -> JobNotFound:
    return JobNotFound(f"there is no job {job}", job_id=job)
