"""One attempt of one job: call the task; interrupt it when its time is over, or it is cancelled."""

import asyncio
import contextvars
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from . import wire
from .board import SYNC_PLACE, Board
from .context import CURRENT, LONGEST_WAIT, CancelRequested, CurrentJob
from .contract import RunnableApp, RunnableTask
from .limits import NO_LIMITS, Limits, limits
from .output import Output
from .trust import end_fork
from .verdict import cancelled, judge

#: Bytes of the largest result; a larger one would cost the supervisor and the database too much
#: memory at once, and PostgreSQL takes nothing above 1 GiB.
LARGEST_RESULT = 256 << 20

#: Seconds after which the alarm of a time-out goes off again, should it come at a bad moment.
ALARM_REPEAT = 0.1


#: A claim, and a job pulled with it.
Pair: TypeAlias = tuple[int, int]


class TimedOut(Exception):
    """The attempt took longer than its time-out."""


class Attempts:
    """Runs attempts in this process, and shows on the board which ones are running."""

    def __init__(self, app: RunnableApp, board: Board, index: int) -> None:
        self._tasks = app.tasks
        self._board = board
        self._index = index
        #: True only while a sync task's own code runs in the main thread, and may be interrupted.
        self.in_task = False
        self._pid = os.getpid()
        #: What is said of the sync task that runs when its time is over.
        self._late = ""
        #: The claim and job that the main thread runs.
        self.current: Pair | None = None
        #: What is to be cancelled as soon as may be, and what was: it is told once a request.
        self.asked: set[Pair] = set()
        self._struck: set[Pair] = set()
        self._awaited: dict[Pair, asyncio.Task[Any]] = {}
        #: Somebody wanted attention while no sync task ran. The next one gives it, at its start, by
        #: `attend`: what is wanted may be about that very one.
        self.missed = False
        self.attend: Callable[[], None] = self.strike
        #: The job of the main thread; it may have ended.
        self.running: CurrentJob | None = None
        #: Takes what C code has written for that job, where it is captured.
        self.output: Output | None = None
        self.hear_alarms()

    def hear_alarms(self) -> None:
        signal.signal(signal.SIGALRM, self._interrupt)

    def is_async(self, job: wire.Job) -> bool:
        task = self._tasks.get(job.task)
        return task is not None and task.is_async

    # cancelling -----------------------------------------------------------------------------------

    def strike(self, *_signal: object) -> None:
        """Raise in the sync task that runs, if it is to be cancelled. For the main thread."""
        if not self.in_task:
            self.missed = True
        elif self.current in self.asked:
            self.asked.discard(self.current)
            self._struck.add(self.current)
            raise CancelRequested(wire.BY_REQUEST)

    def strike_async(self, pair: Pair) -> bool:
        """Cancel an async task. False if that job isn't awaited now. For the loop's thread."""
        if (task := self._awaited.get(pair)) is None:
            return False
        self._struck.add(pair)
        task.cancel(wire.BY_REQUEST)
        return True

    def _is_cancelled(self, job: wire.Job) -> bool:
        pair = job.claim, job.id
        return pair in self.asked or pair in self._struck

    def _forget(self, job: wire.Job) -> None:
        if self.asked or self._struck:
            self.asked.discard((job.claim, job.id))
            self._struck.discard((job.claim, job.id))

    # sync -----------------------------------------------------------------------------------------

    def run_sync(self, job: wire.Job) -> wire.Report:
        """Run a job in the calling thread, the main one."""
        self.current = job.claim, job.id
        report = self._run_sync(job)
        self.current = None
        self._forget(job)
        return report

    def _run_sync(self, job: wire.Job) -> wire.Report:
        task = self._tasks.get(job.task)
        if task is None:
            return wire.Unknown(job.claim, job.id, job.attempt, job.task)
        started, options, bounds = time.monotonic(), wire.job_options(None), NO_LIMITS
        try:
            if job.options:
                options = wire.job_options(job.options)
                bounds = limits(options, task)
            timeout, self._late = self._time(job, options, task, bounds)
            started = self._board.start(SYNC_PLACE, job.id, job.attempt, timeout)
            current = self._current(job, options, timeout and started + timeout, SYNC_PLACE)
            # A context of its own: what a job sets in context variables ends with it.
            result = contextvars.copy_context().run(
                self._call_sync, task, job.args, current, timeout
            )
            encoded = _encoded(task, result)
        except BaseException as error:
            self._own_process(error)
            seconds = time.monotonic() - started
            if self._is_cancelled(job):
                return cancelled(job, error, seconds)
            now = self._time_of(error, bounds)
            return judge(job, task, options, error, seconds, bounds, now)
        self._own_process(None)
        return wire.Succeeded(job.claim, job.id, job.attempt, time.monotonic() - started, encoded)

    def _time(
        self, job: wire.Job, options: wire.JobOptions, task: RunnableTask, bounds: Limits
    ) -> tuple[float | None, str]:
        """Seconds that the attempt may take, and what is said when they are over. Raises Expired,
        DeadlinePassed if they are over by now."""
        timeout = options.timeout or task.timeout
        if bounds is not NO_LIMITS:
            left = bounds.seconds_left(job.attempt, self._board.server_time())
            if left is not None and (timeout is None or left < timeout):
                return min(left, LONGEST_WAIT), bounds.reached
        return timeout and min(timeout, LONGEST_WAIT), "the time-out was reached"

    def _time_of(self, error: BaseException, bounds: Limits) -> float | None:
        """When an attempt has ended, by the server's clock. One that its deadline has ended did so
        at that, whatever the clock says by now: it is corrected at each beat."""
        if type(error) is TimedOut and error.args == (bounds.reached,):  # a class may lie
            return bounds.deadline
        return self._board.server_time()

    def _current(
        self, job: wire.Job, options: wire.JobOptions, deadline: float | None, place: int
    ) -> CurrentJob:
        return CurrentJob(
            job.id, job.task, job.queue, job.attempt, deadline, self._index, options.scheduled_for,
            options.parents,
            job.claim, place, options.checkpoint,
        )  # fmt: skip

    def _own_process(self, error: BaseException | None) -> None:
        """A task may fork, and the child come back here: it is no subworker, and must end."""
        if os.getpid() != self._pid:
            end_fork(error)

    def _call_sync(
        self, task: RunnableTask, args: str, current: CurrentJob, timeout: float | None
    ) -> Any:
        CURRENT.set(current)
        self.running = current
        if timeout is None:
            self.in_task = True
            try:
                if self.missed:
                    self._catch_up()
                return task.call(args)
            finally:
                self.in_task = False
                if self.output is not None:
                    self.output.collect(current)
                if current.notes is not None:
                    current.notes.close()
        signal.setitimer(signal.ITIMER_REAL, timeout, ALARM_REPEAT)
        self.in_task = True
        try:
            if self.missed:
                self._catch_up()
            return task.call(args)
        finally:
            self.in_task = False
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
            raise TimedOut(self._late)

    # async ----------------------------------------------------------------------------------------

    async def run_async(self, job: wire.Job, place: int) -> wire.Report:
        """Run a job of an async task in the running loop, shown at `place` of the board."""
        report = await self._run_async(job, place)
        self._forget(job)
        return report

    async def _run_async(self, job: wire.Job, place: int) -> wire.Report:
        task = self._tasks[job.task]
        started, options, bounds = time.monotonic(), wire.job_options(None), NO_LIMITS
        try:
            if job.options:
                options = wire.job_options(job.options)
                bounds = limits(options, task)
            timeout, late = self._time(job, options, task, bounds)
            started = self._board.start(place, job.id, job.attempt, timeout)
            end = timeout and started + timeout
            current = self._current(job, options, end, place)
            CURRENT.set(current)
            try:
                result = await self._call_async(task, job, timeout, late)
            finally:
                if current.notes is not None:
                    current.notes.close()
            encoded = _encoded(task, result)
        except BaseException as error:
            self._own_process(error)
            seconds = time.monotonic() - started
            if self._is_cancelled(job):
                return cancelled(job, error, seconds)
            now = self._time_of(error, bounds)
            return judge(job, task, options, error, seconds, bounds, now)
        self._own_process(None)
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
            self._awaited[pair] = current
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                return await task.call(job.args)
        except TimeoutError as error:
            if limit.expired():
                raise TimedOut(late) from error
            raise
        finally:
            self._awaited.pop(pair, None)


class ResultTooLarge(Exception):
    """The result is larger than can be stored."""


def _encoded(task: RunnableTask, result: Any) -> bytes | None:
    encoded = task.encode(result)
    if encoded is not None and len(encoded) > LARGEST_RESULT:
        raise ResultTooLarge(
            f"the result takes {len(encoded):,} bytes of JSON, the limit is {LARGEST_RESULT:,}; "
            "store it elsewhere and return its key"
        )
    return encoded
