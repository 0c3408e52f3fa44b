"""Many jobs at once: chosen by what they have in common, counted or changed in one statement."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from wsup.errors import UsageError
from wsup.options import check
from wsup.sql.pool import Pool
from wsup.sql.steps import Ask, Steps, adrive, drive
from wsup.states import FINISHED, STATES, UNFINISHED, UNSTARTED, UNSUCCESSFUL

#: Where a job must stand for what is to be done with it; the statement that does it; and what that
#: says of those that were changed.
VERBS: Final[Mapping[str, tuple[tuple[str, ...], str, tuple[str, ...]]]] = {
    "retry": (UNSUCCESSFUL, "jobs_retry_many", ("ready", "blocked")),
    "cancel": (UNFINISHED, "jobs_cancel_many", ("cancelled", "cancelling")),
    "move": (UNSTARTED, "jobs_move_many", ("moved",)),
    "purge": (FINISHED, "jobs_purge_many", ("purged",)),
    "purge unstarted": ((*UNSTARTED, *FINISHED), "jobs_purge_many", ("purged",)),
}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs are meant: those to which all that is not None applies."""

    ids: tuple[int, ...] | None = None
    state: str | None = None
    queue: str | None = None
    task: str | None = None
    key: str | None = None
    #: When they ended; of jobs that have not, when they were enqueued. Or how long ago that is.
    since: datetime | timedelta | None = None
    before: datetime | timedelta | None = None
    #: The type of the exception that they failed with, by its name.
    error: str | None = None

    def __post_init__(self) -> None:
        if self.state is not None and self.state not in STATES:
            raise UsageError(f"state={self.state!r}: there is none such: use {_either(STATES)}")
        for name, moment in (("since", self.since), ("before", self.before)):
            if not (moment is None or _is_moment(moment)):
                raise UsageError(
                    f"{name}={moment!r}: give a datetime with a time zone, or a timedelta"
                )

    @property
    def is_empty(self) -> bool:
        """Does it say nothing, so that it would mean all jobs?"""
        return self == Filter()

    def values(self, states: tuple[str, ...] | None = None) -> tuple[object, ...]:
        """The parameters of statements that find jobs. `states`: only those that stand there."""
        asked = states if self.state is None else (self.state,)
        return (
            None if self.ids is None else list(self.ids),
            None if asked is None else list(asked),
            self.queue,
            self.task,
            self.key,
            *_moment(self.since),
            *_moment(self.before),
            self.error,
        )


class FailedJobs(NamedTuple):
    """The jobs of one task that failed with one type of exception."""

    task: str
    #: The type's name; None if no failed attempt was recorded.
    error: str | None
    jobs: int
    first_at: datetime
    last_at: datetime
    #: The id of the newest of them.
    last_job: int


class Jobs:
    """Jobs chosen by a filter. Nothing is looked up before a method is called.

    Each method is one statement over however many jobs there are. Those that change jobs return how
    many were changed; with `dry_run` nothing changes, and they return how many would be. They raise
    UsageError where no job is named or the filter's state can't be changed so, and DatabaseError.
    """

    __slots__ = ("_filter", "_pool")

    def __init__(self, filter: Filter, pool: Pool) -> None:
        self._filter = filter
        self._pool = pool

    def count(self) -> dict[str, int]:
        """How many there are, by the state in which they stand."""
        return drive(counted(self._filter), self._pool.perform)

    async def acount(self) -> dict[str, int]:
        """`count` for asyncio."""
        return await adrive(counted(self._filter), self._pool.aperform)

    def failed(self) -> list[FailedJobs]:
        """The failed ones, counted by task and error, the most frequent first."""
        return drive(failed(self._filter), self._pool.perform)

    async def afailed(self) -> list[FailedJobs]:
        """`failed` for asyncio."""
        return await adrive(failed(self._filter), self._pool.aperform)

    def retry(self, *, dry_run: bool = False) -> int:
        """Run those again that failed, expired or were cancelled, at their next attempt."""
        return drive(self._change("retry", dry_run), self._pool.perform)

    async def aretry(self, *, dry_run: bool = False) -> int:
        """`retry` for asyncio."""
        return await adrive(self._change("retry", dry_run), self._pool.aperform)

    def cancel(self, *, kill: bool = False, dry_run: bool = False) -> int:
        """Cancel those that have not ended, as `Job.cancel` does."""
        return drive(self._change("cancel", dry_run, kill), self._pool.perform)

    async def acancel(self, *, kill: bool = False, dry_run: bool = False) -> int:
        """`cancel` for asyncio."""
        return await adrive(self._change("cancel", dry_run, kill), self._pool.aperform)

    def move(self, queue: str, *, dry_run: bool = False) -> int:
        """Move those that have not started to another queue. Raises TaskError for its name."""
        check("move", queue=queue)
        return drive(self._change("move", dry_run, queue), self._pool.perform)

    async def amove(self, queue: str, *, dry_run: bool = False) -> int:
        """`move` for asyncio."""
        check("move", queue=queue)
        return await adrive(self._change("move", dry_run, queue), self._pool.aperform)

    def purge(self, *, unstarted: bool = False, dry_run: bool = False) -> int:
        """Remove those that have ended, with all that is stored of them; with `unstarted` also
        those that have not started, which then never run."""
        verb = "purge unstarted" if unstarted else "purge"
        return drive(self._change(verb, dry_run, unstarted), self._pool.perform)

    async def apurge(self, *, unstarted: bool = False, dry_run: bool = False) -> int:
        """`purge` for asyncio."""
        verb = "purge unstarted" if unstarted else "purge"
        return await adrive(self._change(verb, dry_run, unstarted), self._pool.aperform)

    def _change(self, verb: str, dry_run: bool, *more: object) -> Steps[int]:
        counts = yield from changed(verb, self._filter, *more, dry_run=dry_run)
        return sum(counts.values())


def counted(filter: Filter, states: tuple[str, ...] | None = None) -> Steps[dict[str, int]]:
    """How many jobs there are by state, of those that stand in one of `states`."""
    rows = yield Ask("jobs_count", filter.values(states), repeatable=True)
    return dict(rows)


def changed(
    verb: str, filter: Filter, *more: object, dry_run: bool = False
) -> Steps[dict[str, int]]:
    """Do it; returns how many jobs were changed, by what the statement says of them. With
    `dry_run`, how many would be, by where they stand. Raises UsageError."""
    states, statement, done = VERBS[verb]
    if filter.is_empty:
        raise UsageError("no job is named: give IDs, or a queue, task, state, error or time")
    if filter.state is not None and filter.state not in states:
        raise UsageError(
            f"{verb} state={filter.state!r}: it is for jobs that are {_either(states)}"
        )
    if dry_run:
        return (yield from counted(filter, states))
    rows = yield Ask(statement, (*filter.values(states), *more))
    return {state: jobs for state, jobs in rows if state in done}


def failed(filter: Filter) -> Steps[list[FailedJobs]]:
    """The failed jobs, by task and error. Raises UsageError."""
    if filter.state not in (None, "failed"):
        raise UsageError(f"state={filter.state!r}: these jobs have not failed: leave it out")
    rows = yield Ask("jobs_failed", filter.values(("failed",)), repeatable=True)
    return [FailedJobs(*row) for row in rows]


def _is_moment(value: object) -> bool:
    if isinstance(value, datetime):
        return value.utcoffset() is not None
    return isinstance(value, timedelta)


def _moment(value: datetime | timedelta | None) -> tuple[datetime | None, timedelta | None]:
    """What it was; how long ago that is, is reckoned by the server's clock."""
    if isinstance(value, timedelta):
        return None, value
    return value, None


def _either(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
