"""One call of a batch task: many jobs, each with an end of its own."""

import asyncio
import contextvars
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from . import wire
from .attempt import Attempts, Pair
from .board import SYNC_PLACE
from .call import CurrentCall
from .context import CURRENT, CancelRequested, CurrentJob
from .contract import RunnableBatchTask
from .job_options import JobOptions, job_options
from .limits import NO_LIMITS, Limits, limits
from .result import encode_result
from .timeout import allowed, within


class BatchMisused(Exception):
    """A batch task has not returned one result for each job."""


class BatchAttempts:
    """Runs calls of batch tasks in this process."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts

    def as_orders(self, order: wire.Batch) -> Sequence[wire.Job | wire.Batch]:
        """What is to be run: job by job, if here this is no batch task."""
        task = self._attempts.tasks.get(order.jobs[0].task)
        return [order] if task is not None and task.batch else order.jobs

    def run_sync(self, order: wire.Batch) -> wire.Reports:
        """Run a call in the calling thread, the main one."""
        attempts = self._attempts
        call = _Call(attempts, order.jobs)
        if not call.items:
            return call.skipped()
        attempts.together = call.pairs
        try:
            call.start(SYNC_PLACE)
            attempts.late = call.late
            # A context of its own, as for a single job.
            result = contextvars.copy_context().run(
                attempts.call_sync, call.task.call_batch, call.items, call.current, call.timeout
            )
            reports = call.returned(result)
        except BaseException as error:
            reports = call.raised(error)
        attempts.together = frozenset()
        attempts.forget(call.pairs)
        return wire.Reports(reports)

    async def run_async(self, order: wire.Batch, place: int) -> wire.Reports:
        """Run a call of an async task in the running loop, shown at `place` of the board."""
        attempts = self._attempts
        call = _Call(attempts, order.jobs)
        if not call.items:
            return call.skipped()
        try:
            call.start(place)
            CURRENT.set(call.current)
            if call.pairs <= attempts.asked:
                raise CancelRequested(wire.BY_REQUEST)
            awaited = _Awaited(asyncio.current_task(), call.pairs, attempts.struck)
            attempts.awaited.update(dict.fromkeys(call.pairs, awaited))
            try:
                result = await within(call.task.call_batch, call.items, call.timeout, call.late)
            finally:
                call.current.notes.close()
            reports = call.returned(result)
        except BaseException as error:
            reports = call.raised(error)
        for pair in call.pairs:
            attempts.awaited.pop(pair, None)
        attempts.forget(call.pairs)
        return wire.Reports(reports)


class _Awaited:
    """An async call, to be cancelled once all of its jobs are."""

    def __init__(
        self, task: asyncio.Task[Any] | None, pairs: frozenset[Pair], struck: set[Pair]
    ) -> None:
        self._task = task
        self._pairs = pairs
        self._struck = struck

    def cancel(self, message: str) -> None:
        if self._task is not None and self._pairs <= self._struck:
            self._task.cancel(message)


class _Call:
    """The jobs of one call: those that take part, and what is said of the others."""

    def __init__(self, attempts: Attempts, jobs: Sequence[wire.Job]) -> None:
        self._attempts = attempts
        # The supervisor gathers jobs of tasks that are said to be batch tasks, and of no others.
        self.task = cast(RunnableBatchTask, attempts.tasks[jobs[0].task])
        self.pairs = frozenset((job.claim, job.id) for job in jobs)
        self._lead = jobs[0]
        self._started = time.monotonic()
        self._options: dict[int, tuple[JobOptions, Limits]] = {}
        self._jobs: list[wire.Job] = []
        self._unfit: list[Any] = []
        self.items: list[Any] = []
        self.current = CurrentCall(self.task.name, ())
        #: The shortest of the jobs' time-outs, in seconds, and what is said when it is over.
        self.timeout: float | None = None
        self.late = ""
        for job in jobs:
            try:
                timeout, late = self._admit(job)
                item = self.task.load(job.args)
            except Exception as error:
                self._unfit.append(self._report(job, error))
                continue
            self._jobs.append(job)
            self.items.append(item)
            if timeout is not None and (self.timeout is None or timeout < self.timeout):
                self.timeout, self.late = timeout, late

    def _admit(self, job: wire.Job) -> tuple[float | None, str]:
        """Its time-out. Raises an error for a job that can't take part, or comes too late."""
        self._options[job.id] = job_options(None), NO_LIMITS
        options = job_options(job.options)
        bounds = limits(options, self.task) if job.options else NO_LIMITS
        self._options[job.id] = options, bounds
        return allowed(job, options, self.task, bounds, self._attempts.board)

    def start(self, place: int) -> None:
        """Show on the board that it runs; one of its jobs stands for all."""
        attempts, lead = self._attempts, self._lead
        self._started = attempts.board.start(place, lead.id, lead.attempt, self.timeout)
        end = self.timeout and self._started + self.timeout
        jobs = [
            attempts.make_current(job, self._options[job.id][0], end, None, _refuse_end)
            for job in self._jobs
        ]
        self.current = CurrentCall(self.task.name, jobs)

    def skipped(self) -> wire.Reports:
        """None can take part: there is no call."""
        self._attempts.forget(self.pairs)
        return wire.Reports(self._unfit)

    def returned(self, result: Any) -> list[Any]:
        """The reports of all, by what the function has returned. Raises BatchMisused."""
        self._attempts.own_process(None)
        count = len(self._jobs)
        if result is None:
            result = [None] * count
        if not isinstance(result, list | tuple) or len(result) != count:
            what = f"{len(result)} results" if isinstance(result, list | tuple) else repr(result)
            raise BatchMisused(
                f"task {self.task.name} was called with {count} jobs and has returned {what:.80}; "
                "return a list with a result or an exception for each of them, or None"
            )
        ends = zip(self._jobs, result, strict=True)
        return [*self._unfit, *(self._report(job, end) for job, end in ends)]

    def raised(self, error: BaseException) -> list[Any]:
        """The reports of all, whose call has raised `error`."""
        return [*self._unfit, *(self._report(job, error) for job in self._jobs)]

    def _report(self, job: wire.Job, end: Any) -> wire.Report:
        seconds = time.monotonic() - self._started
        try:
            if isinstance(end, BaseException):
                raise end
            encoded = encode_result(self.task, end, share=len(self.pairs))
        except BaseException as error:
            options, bounds = self._options[job.id]
            return self._attempts.raised(job, self.task, options, bounds, None, error, seconds)
        return wire.Succeeded(job.claim, job.id, job.attempt, seconds, encoded)


def _refuse_end(_current: CurrentJob) -> Any:
    raise RuntimeError("transaction() is for tasks that are called with one job")


def take_out(
    pair: Pair, pending: Sequence[wire.Job | wire.Batch], drop: Callable[[wire.Job], None]
) -> list[wire.Job | wire.Batch]:
    """What is left of `pending` when a job, if it is there, is dropped."""
    left: list[wire.Job | wire.Batch] = []
    for entry in pending:
        jobs = jobs_of(entry)
        kept = [job for job in jobs if (job.claim, job.id) != pair]
        for job in jobs:
            if job not in kept:
                drop(job)
        if len(kept) == len(jobs):
            left.append(entry)
        elif kept:
            left.append(wire.Batch(kept))
    return left


def jobs_of(entry: wire.Job | wire.Batch) -> list[wire.Job]:
    return entry.jobs if isinstance(entry, wire.Batch) else [entry]
