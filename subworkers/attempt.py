"""One attempt of one job: call the task; interrupt it when its time is over, or it is cancelled."""

import asyncio
import contextvars
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar

from . import wire
from .board import SYNC_PLACE, Board
from .call import CurrentCall
from .context import CURRENT, CancelRequested, CurrentJob
from .contract import Finisher, RunnableApp, RunnableTask
from .ending import Ending, Stage
from .job_options import JobOptions, job_options
from .limits import NO_LIMITS, Limits, limits
from .output import Output
from .result import encode_result
from .timeout import TimedOut, allowed, ended_at, within
from .trust import end_fork
from .verdict import cancelled, judge

#: Seconds after which the alarm of a time-out goes off again, should it come at a bad moment.
ALARM_REPEAT = 0.1

#: A claim, and a job pulled with it.
Pair: TypeAlias = tuple[int, int]
A = TypeVar("A")


class Awaited(Protocol):
    """An async call that runs."""

    def cancel(self, message: str) -> object: ...


class Attempts:
    """Runs attempts in this process, and shows on the board which ones are running."""

    def __init__(self, app: RunnableApp, board: Board, index: int) -> None:
        self.tasks = app.tasks
        self._finisher = app.finisher
        self.board = board
        self._index = index
        #: True only while a sync task's own code runs in the main thread, and may be interrupted.
        self.in_task = False
        self._pid = os.getpid()
        #: What is said of the sync task that runs when its time is over.
        self.late = ""
        #: The claim and job that the main thread runs.
        self.current: Pair | None = None
        #: The claims and jobs that it runs in one call.
        self.together: frozenset[Pair] = frozenset()
        #: What is to be cancelled as soon as may be, and what was: it is told once a request.
        self.asked: set[Pair] = set()
        self.struck: set[Pair] = set()
        self.awaited: dict[Pair, Awaited] = {}
        #: Somebody wanted attention while no sync task ran. The next one gives it, at its start, by
        #: `attend`: what is wanted may be about that very one.
        self.missed = False
        self.attend: Callable[[], None] = self.strike
        #: The job of the main thread; it may have ended.
        self.running: CurrentJob | CurrentCall | None = None
        #: Takes what C code has written for that job, where it is captured.
        self.output: Output | None = None
        self.hear_alarms()

    def hear_alarms(self) -> None:
        signal.signal(signal.SIGALRM, self._interrupt)

    def is_async(self, job: wire.Job) -> bool:
        task = self.tasks.get(job.task)
        return task is not None and task.is_async

    # cancelling -----------------------------------------------------------------------------------

    def strike(self, *_signal: object) -> None:
        """Raise in the sync task that runs, if it is to be cancelled. For the main thread."""
        if not self.in_task:
            self.missed = True
        elif self.current in self.asked:
            self.asked.discard(self.current)
            self.struck.add(self.current)
            raise CancelRequested(wire.BY_REQUEST)
        elif self.together and self.together <= self.asked:
            self.asked -= self.together
            self.struck |= self.together
            raise CancelRequested(wire.BY_REQUEST)

    def strike_async(self, pair: Pair) -> bool:
        """Cancel an async task. False if that job isn't awaited now. For the loop's thread."""
        if (task := self.awaited.get(pair)) is None:
            return False
        self.struck.add(pair)
        task.cancel(wire.BY_REQUEST)
        return True

    def _is_cancelled(self, job: wire.Job) -> bool:
        pair = job.claim, job.id
        return pair in self.asked or pair in self.struck

    def forget(self, over: Iterable[Pair]) -> None:
        self.asked.difference_update(over)
        self.struck.difference_update(over)

    # sync -----------------------------------------------------------------------------------------

    def run_sync(self, job: wire.Job) -> wire.Report:
        """Run a job in the calling thread, the main one."""
        self.current = job.claim, job.id
        report = self._run_sync(job)
        self.current = None
        if self.asked or self.struck:
            self.forget([(job.claim, job.id)])
        return report

    def _run_sync(self, job: wire.Job) -> wire.Report:
        task = self.tasks.get(job.task)
        if task is None:
            return wire.Unknown(job.claim, job.id, job.attempt, job.task)
        started, options, bounds = time.monotonic(), job_options(None), NO_LIMITS
        current: CurrentJob | None = None
        try:
            if job.options:
                options = job_options(job.options)
                bounds = limits(options, task)
            timeout, self.late = allowed(job, options, task, bounds, self.board)
            started = self.board.start(SYNC_PLACE, job.id, job.attempt, timeout)
            due = timeout and started + timeout
            current = self.make_current(job, options, due, SYNC_PLACE, self._end)
            # A context of its own: what a job sets in context variables ends with it.
            result = contextvars.copy_context().run(
                self.call_sync, task.call, job.args, current, timeout
            )
            self.own_process(None)
            if current.ending and current.ending.over:
                return current.ending.report(result, time.monotonic() - started)
            encoded = encode_result(task, result)
        except BaseException as error:
            seconds = time.monotonic() - started
            return self.raised(job, task, options, bounds, current, error, seconds)
        return wire.Succeeded(job.claim, job.id, job.attempt, time.monotonic() - started, encoded)

    def make_current(
        self,
        job: wire.Job,
        options: JobOptions,
        deadline: float | None,
        place: int | None,
        end: Callable[..., Any],
    ) -> CurrentJob:
        return CurrentJob(
            job.id, job.task, job.queue, job.attempt, deadline, self._index, options.scheduled_for,
            options.parents, job.claim, place, options.checkpoint, end,
        )  # fmt: skip

    def raised(
        self,
        job: wire.Job,
        task: RunnableTask,
        options: JobOptions,
        bounds: Limits,
        current: CurrentJob | None,
        error: BaseException,
        seconds: float,
    ) -> wire.Report:
        """What becomes of a job whose task has raised `error`."""
        self.own_process(error)
        ending = current.ending if current else None
        if ending and ending.over:
            return ending.report(error, seconds)
        if self._is_cancelled(job):
            return cancelled(job, error, seconds)
        now = ended_at(error, bounds, self.board)
        report = judge(job, task, options, error, seconds, bounds, now)
        if isinstance(report, wire.Failed) and ending and ending.stage is Stage.IN_DOUBT:
            report.in_doubt = True
        return report

    def own_process(self, error: BaseException | None) -> None:
        """A task may fork, and the child come back here: it is no subworker, and must end."""
        if os.getpid() != self._pid:
            end_fork(error)

    def call_sync(
        self,
        call: Callable[[A], Any],
        args: A,
        current: CurrentJob | CurrentCall,
        timeout: float | None,
    ) -> Any:
        """Call a sync task's function, and interrupt it when its time is over."""
        CURRENT.set(current)
        self.running = current
        if timeout is not None:
            signal.setitimer(signal.ITIMER_REAL, timeout, ALARM_REPEAT)
        self.in_task = True
        try:
            if self.missed:
                self._catch_up()
            return call(args)
        finally:
            self.in_task = False
            if timeout is not None:
                signal.setitimer(signal.ITIMER_REAL, 0)
            if self.output is not None:
                self.output.collect(current)
            if current.notes is not None:
                current.notes.close()

    def _catch_up(self) -> None:
        self.missed = False
        self.attend()

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Amid a task, in the main thread: what is done inside is not interrupted."""
        inside, self.in_task = self.in_task, False
        try:
            yield
        finally:
            self.in_task = inside
        if inside and self.missed:
            self._catch_up()

    def _interrupt(self, _signum: int, _frame: object) -> None:
        # The alarm may go off just after the task has returned: then it has made it in time.
        if self.in_task:
            raise TimedOut(self.late)

    # ended by its task ----------------------------------------------------------------------------

    def _end(self, current: CurrentJob) -> tuple[Ending, Finisher]:
        """Its task begins a transaction that ends it. Raises RuntimeError if one has done so."""
        if current.ending and current.ending.over:
            raise RuntimeError(f"job {current.id} is over: its transaction was committed")
        place, started = self.board.find(current.id)
        encode = partial(encode_result, self.tasks[current.task])
        undisturbed = self.undisturbed if place == SYNC_PLACE else nullcontext
        doubt = partial(self.board.doubt, place)
        ending = Ending(current.claim, current.id, self._index, started, encode, undisturbed, doubt)
        return ending, self._finisher

    # async ----------------------------------------------------------------------------------------

    async def run_async(self, job: wire.Job, place: int) -> wire.Report:
        """Run a job of an async task in the running loop, shown at `place` of the board."""
        report = await self._run_async(job, place)
        if self.asked or self.struck:
            self.forget([(job.claim, job.id)])
        return report

    async def _run_async(self, job: wire.Job, place: int) -> wire.Report:
        task = self.tasks[job.task]
        started, options, bounds = time.monotonic(), job_options(None), NO_LIMITS
        current: CurrentJob | None = None
        try:
            if job.options:
                options = job_options(job.options)
                bounds = limits(options, task)
            timeout, late = allowed(job, options, task, bounds, self.board)
            started = self.board.start(place, job.id, job.attempt, timeout)
            due = timeout and started + timeout
            current = self.make_current(job, options, due, place, self._end)
            CURRENT.set(current)
            try:
                result = await self._call_async(task, job, timeout, late)
            finally:
                if current.notes is not None:
                    current.notes.close()
            self.own_process(None)
            if current.ending and current.ending.over:
                return current.ending.report(result, time.monotonic() - started)
            encoded = encode_result(task, result)
        except BaseException as error:
            seconds = time.monotonic() - started
            return self.raised(job, task, options, bounds, current, error, seconds)
        return wire.Succeeded(job.claim, job.id, job.attempt, time.monotonic() - started, encoded)

    async def _call_async(
        self,
        task: RunnableTask,
        job: wire.Job,
        timeout: float | None,  # noqa: ASYNC109
        late: str,
    ) -> Any:
        pair = job.claim, job.id
        if pair in self.asked:
            raise CancelRequested(wire.BY_REQUEST)
        if current := asyncio.current_task():
            self.awaited[pair] = current
        try:
            return await within(task.call, job.args, timeout, late)
        finally:
            self.awaited.pop(pair, None)
