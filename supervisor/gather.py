"""What the subworkers report, and what their deaths say, as lines of the next settlement."""

import logging
from collections.abc import Callable, Mapping, Sequence, Set

import msgspec

from ..sql.answers import Row
from ..sql.notes import Note
from ..sql.settlement import CANCELLED, EXPIRED, SUCCEEDED, Back, Entry, Failure, Over, size
from ..subworkers import wire
from ..subworkers.board import Running
from ..subworkers.job_options import job_options
from ..subworkers.limits import NO_LIMITS, limits
from ..subworkers.ring import RingDamaged
from .member import Member
from .notes import Notes

log = logging.getLogger("wsup.gather")

#: Seconds before a job whose task is unknown here is tried again: doubling from first to last.
UNKNOWN_FIRST, UNKNOWN_LAST = 5.0, 300.0
#: How many unknown jobs are remembered, to double their wait.
_UNKNOWN_REMEMBERED = 100_000


def cancelled(
    claim: int, job: int, attempt: int, why: str = "", seconds: float = 0.0, subworker: int = -1
) -> Over:
    """The end of a job that was to be cancelled; `why` is what had ended, or kept, it otherwise."""
    reason = f"{wire.BY_REQUEST}; {why}" if why else wire.BY_REQUEST
    return Over(claim, job, attempt, CANCELLED, seconds, subworker, None, reason)


class Gather:
    """Everything that finishes comes through here; commit is the only way on."""

    def __init__(
        self,
        *,
        on_finished: Callable[[], None],
        on_ready: Callable[[Member], None],
        on_unfit: Callable[[Member, str], None],
        on_returned: Callable[[list[Row]], None],
        on_untrusted: Callable[[Member, wire.Untrusted], None],
    ) -> None:
        self.finished: list[Entry] = []
        self.finished_bytes = 0
        #: What is not an end: to be committed with the ends, or before.
        self.notes = Notes()
        self.failed = 0
        #: Jobs that their tasks have finished in the database themselves, not counted yet.
        self._settled = 0
        #: By claim and job: may be over by a commit of the task's own. If what is said of them
        #: here is refused, nothing is the matter.
        self._in_doubt: set[tuple[int, int]] = set()
        self._on_finished = on_finished
        self._on_ready = on_ready
        self._on_unfit = on_unfit
        self._on_returned = on_returned
        self._on_untrusted = on_untrusted
        self._unknown: dict[int, float] = {}
        self._unknown_tasks: set[str] = set()
        #: What is to be cancelled, by claim and job: it doesn't run again, whatever is said of it.
        self._cancelling: Set[tuple[int, int]] = frozenset()

    def read(self, member: Member) -> None:
        """Take in what a subworker has reported. A damaged ring costs it its life."""
        try:
            messages = member.receiver.get_nowait()
            reports = [wire.decode_report(message) for message in messages]
        except (RingDamaged, msgspec.DecodeError) as error:
            log.error("%s is killed: %s", member, error)
            member.kill()
            return
        took: list[float] = []
        for report in reports:
            self._take(member, report, took)
        if took:
            member.pace.took(took)
        if reports:
            self._on_finished()

    def look(self, member: Member, running: Sequence[Running]) -> None:
        """Take in what the jobs that a subworker runs say of themselves meanwhile."""
        self.notes.trim_output(member, running)
        if self.notes.look(member, running):
            self._on_finished()

    def _take(self, member: Member, report: wire.Report, took: list[float]) -> None:
        if isinstance(report, wire.Succeeded):
            claim, job, attempt = report.claim, report.job, report.attempt
            self._release(member, job, report.seconds, took)
            result = report.result
            if result is not None:
                self.finished_bytes += len(result)
            self.finished.append(
                Over(claim, job, attempt, SUCCEEDED, report.seconds, member.index, result)
            )
        elif isinstance(report, wire.Ready):
            self._on_ready(member)
        elif isinstance(report, wire.Unfit):
            self._on_unfit(member, report.traceback)
        elif isinstance(report, wire.Returned):
            rows = [row for job in report.jobs if (row := member.held.get(job))]
            for job in report.jobs:
                member.release(job)
            self._on_returned(rows)
        elif isinstance(report, wire.Untrusted):
            self._on_untrusted(member, report)
        elif isinstance(report, wire.Note | wire.Logged):
            self.notes.take(member, report)
        else:
            self._take_other(member, report, took)

    def _take_other(
        self,
        member: Member,
        report: wire.Failed
        | wire.Snoozed
        | wire.Cancelled
        | wire.Unknown
        | wire.Expired
        | wire.Settled
        | wire.Reports,
        took: list[float],
    ) -> None:
        if isinstance(report, wire.Reports):
            for one in report.reports:
                self._take(member, one, took)
            return
        seconds = getattr(report, "seconds", 0.0)
        self._release(member, report.job, seconds, took)
        if isinstance(report, wire.Settled):
            self._settled += 1
            return
        if isinstance(report, wire.Unknown):
            self.unknown(report.claim, report.job, report.attempt, report.task)
            return
        if isinstance(report, wire.Snoozed):
            self._add(Back(report.claim, report.job, report.attempt, report.delay))
            return
        if isinstance(report, wire.Expired | wire.Cancelled):
            state = EXPIRED if isinstance(report, wire.Expired) else CANCELLED
            self.finished.append(
                Over(
                    report.claim, report.job, report.attempt, state, seconds,
                    member.index, None, report.reason,
                )
            )  # fmt: skip
            return
        if report.in_doubt:
            self._in_doubt.add((report.claim, report.job))
        self.failed += report.retry_after is None
        self.finished_bytes += len(report.message) + len(report.traceback or "")
        self._add(
            Failure(
                report.claim, report.job, report.attempt, member.index, report.type,
                report.message, report.traceback, report.seconds, report.retry_after,
            )
        )  # fmt: skip

    def _release(self, member: Member, job: int, seconds: float, took: list[float]) -> None:
        """The subworker is done with the job, whose call has taken so many seconds."""
        member.done += 1
        is_sync = member.release(job)
        if is_sync:
            member.stuck = False
            if seconds:  # one that was not started says nothing
                took.append(seconds)
        elif is_sync is False and seconds:
            member.pace_async.took([seconds])

    def unknown(self, claim: int, job: int, attempt: int, task: str) -> None:
        """Put off a job whose task this app doesn't have: for another host, or a later deploy."""
        if task not in self._unknown_tasks:
            self._unknown_tasks.add(task)
            log.warning(
                "no task %r in this app: its jobs wait for a host, or a deploy, that has it", task
            )
        if len(self._unknown) > _UNKNOWN_REMEMBERED:
            self._unknown.clear()
        delay = self._unknown.get(job, UNKNOWN_FIRST)
        self._unknown[job] = min(delay * 2, UNKNOWN_LAST)
        self._add(Back(claim, job, attempt, delay))

    def _add(self, entry: Back | Failure) -> None:
        self.finished.append(self._final(entry) if self._cancelling else entry)

    def _final(self, entry: Entry) -> Entry:
        """As it is, or as the end of a job that would run again and is to be cancelled."""
        if isinstance(entry, Over) or (entry.claim, entry.job) not in self._cancelling:
            return entry
        if isinstance(entry, Back):
            return cancelled(entry.claim, entry.job, entry.attempt)
        if entry.retry_after is None:
            return entry
        why = f"this attempt has failed: {entry.type}: {entry.message}"
        return cancelled(entry.claim, entry.job, entry.attempt, why, entry.seconds, entry.subworker)

    def cancel(self, pairs: Set[tuple[int, int]]) -> None:
        """From now on these jobs, by claim, and no others are to be cancelled."""
        self._cancelling = pairs
        if pairs:
            self.finished = [self._final(entry) for entry in self.finished]
            self.finished_bytes = sum(size(entry) for entry in self.finished)

    def keep(self, entries: Sequence[Entry], notes: Sequence[Note] = ()) -> None:
        """Take entries back, at the head, that could not be committed."""
        self.notes.keep(notes)
        self.finished[:0] = entries
        self.finished_bytes += sum(size(entry) for entry in entries)

    def defer(self, entries: Sequence[Entry]) -> None:
        """Take entries back, behind the others, that could not be committed yet."""
        self.finished += entries
        self.finished_bytes += sum(size(entry) for entry in entries)

    def resolve(self, entries: Sequence[Entry], deferred: Sequence[Entry]) -> int:
        """The database has decided on these entries, but for the deferred ones. Returns how many
        of them were of jobs in doubt."""
        if not self._in_doubt:
            return 0
        decided = self._in_doubt.intersection((e.claim, e.job) for e in entries)
        decided.difference_update((e.claim, e.job) for e in deferred)
        self._in_doubt -= decided
        return len(decided)

    def take_settled(self) -> int:
        settled, self._settled = self._settled, 0
        return settled

    def drop(self, settled: Set[tuple[int, int]]) -> None:
        """Forget the entries of these (claim, job) pairs."""
        self.finished = [e for e in self.finished if (e.claim, e.job) not in settled]
        self.finished_bytes = sum(size(entry) for entry in self.finished)

    def forget_unknown(self) -> None:
        """The app has been loaded anew: what was unknown may be known now."""
        self._unknown.clear()
        self._unknown_tasks.clear()

    def give_back(self, rows: Sequence[Row]) -> None:
        """Pulled jobs that will not be started here."""
        for row in rows:
            self._add(Back(row[0], row[1], row[2], None))

    def died(self, member: Member, end: str, tasks: Mapping[str, wire.TaskInfo]) -> list[Row]:
        """A subworker has ended. What it was running has failed with it, unless we interrupted it
        for reasons of our own, such as another job's time-out; what it had not started is returned,
        to be given to others."""
        self.read(member)
        places = member.running()
        self.notes.look(member, places, last=True)
        self.notes.take_output(member, tasks)
        running = {place.job for place in places}
        in_doubt = [member.held[p.job] for p in places if p.in_doubt and p.job in member.held]
        self._in_doubt.update((row[0], row[1]) for row in in_doubt)
        if member.overdue:
            running &= member.overdue
        lost = [row for job, row in member.held.items() if job in running]
        unstarted = [row for job, row in member.held.items() if job not in running]
        member.release_all()
        if member.interrupted:
            lost, unstarted = [], lost + unstarted
        # Whether they are to run again, their claims must tell.
        self.give_back([row for row in unstarted if row in in_doubt])
        unstarted = [row for row in unstarted if row not in in_doubt]
        for row in lost:
            failure = self._death(row, member, end, tasks.get(row[3]))
            if (failure.claim, failure.job) in self._cancelling:
                self.finished.append(cancelled(*row[:3], failure.message, subworker=member.index))
                continue
            self.failed += failure.retry_after is None
            self.finished.append(failure)
        return unstarted

    def _death(self, row: Row, member: Member, end: str, task: wire.TaskInfo | None) -> Failure:
        claim, job, attempt = row[:3]
        bounds = NO_LIMITS
        try:
            options = job_options(row[6])
            own, bounds = options.retries, limits(options)
        except msgspec.DecodeError:
            own = 0
        retries = own if own is not None else task.retries if task else 0
        after = None
        if attempt <= retries:
            delays = task.delays if task and task.delays else [1.0]
            after = delays[min(attempt, len(delays)) - 1]
        kind, message = "SubworkerDied", f"subworker died: {end}"
        if job in member.overdue:
            kind, message = "TimedOut", member.doomed
        if after is not None and (
            forbidden := bounds.forbids_retry(after, member.memory.board.server_time())
        ):
            after, message = None, message + forbidden
        return Failure(claim, job, attempt, member.index, kind, message, None, 0.0, after)
