"""One attempt of one job: call the task, and put into words how it ended."""

import asyncio
import contextvars
import os
import signal
import time
import traceback
from collections.abc import Callable
from typing import Any

from . import wire
from .board import SYNC_PLACE, Board
from .context import CURRENT, LONGEST_WAIT, Cancel, CurrentJob, Retry, Snooze, wait_seconds
from .contract import RunnableApp, RunnableTask
from .load import OUR_FILES
from .trust import end_fork

#: Characters kept of an error's message and traceback; a failure must not fill the database.
MESSAGE_CHARS, TRACEBACK_CHARS = 10_000, 50_000

#: … and of an exception's name.
NAME_CHARS = 200
#: Bytes of the largest result; a larger one would cost the supervisor and the database too much
#: memory at once, and PostgreSQL takes nothing above 1 GiB.
LARGEST_RESULT = 256 << 20

#: Seconds after which the alarm of a time-out goes off again, should it come at a bad moment.
ALARM_REPEAT = 0.1


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
        self.hear_alarms()

    def hear_alarms(self) -> None:
        signal.signal(signal.SIGALRM, self._interrupt)

    def is_async(self, job: wire.Job) -> bool:
        task = self._tasks.get(job.task)
        return task is not None and task.is_async

    def run_sync(self, job: wire.Job) -> wire.Report:
        """Run a job in the calling thread, the main one."""
        task = self._tasks.get(job.task)
        if task is None:
            return wire.Unknown(job.claim, job.id, job.attempt, job.task)
        started, options = time.monotonic(), wire.job_options(None)
        try:
            options = wire.job_options(job.options)
            timeout = _limit(options, task)
            started = self._board.start(SYNC_PLACE, job.id, job.attempt, timeout)
            current = self._current(job, options, timeout and started + timeout)
            # A context of its own: what a job sets in context variables ends with it.
            result = contextvars.copy_context().run(
                self._call_sync, task, job.args, current, timeout
            )
            encoded = _encoded(task, result)
        except BaseException as error:
            self._own_process(error)
            return _judge(job, task, options, error, time.monotonic() - started)
        self._own_process(None)
        return wire.Succeeded(job.claim, job.id, job.attempt, time.monotonic() - started, encoded)

    def _current(
        self, job: wire.Job, options: wire.JobOptions, deadline: float | None
    ) -> CurrentJob:
        return CurrentJob(
            job.id, job.task, job.queue, job.attempt, deadline, self._index, options.scheduled_for
        )

    def _own_process(self, error: BaseException | None) -> None:
        """A task may fork, and the child come back here: it is no subworker, and must end."""
        if os.getpid() != self._pid:
            end_fork(error)

    def _call_sync(
        self, task: RunnableTask, args: str, current: CurrentJob, timeout: float | None
    ) -> Any:
        CURRENT.set(current)
        if timeout is None:
            self.in_task = True
            try:
                return task.call(args)
            finally:
                self.in_task = False
        signal.setitimer(signal.ITIMER_REAL, timeout, ALARM_REPEAT)
        self.in_task = True
        try:
            return task.call(args)
        finally:
            self.in_task = False
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _interrupt(self, _signum: int, _frame: object) -> None:
        # The alarm may go off just after the task has returned: then it has made it in time.
        if self.in_task:
            raise TimedOut("the time-out was reached")

    async def run_async(self, job: wire.Job, place: int) -> wire.Report:
        """Run a job of an async task in the running loop, shown at `place` of the board."""
        task = self._tasks[job.task]
        started, options = time.monotonic(), wire.job_options(None)
        try:
            options = wire.job_options(job.options)
            timeout = _limit(options, task)
            started = self._board.start(place, job.id, job.attempt, timeout)
            end = timeout and started + timeout
            CURRENT.set(self._current(job, options, end))
            limit = asyncio.timeout(timeout)
            try:
                async with limit:
                    result = await task.call(job.args)
            except TimeoutError as error:
                if limit.expired():
                    raise TimedOut("the time-out was reached") from error
                raise
            encoded = _encoded(task, result)
        except BaseException as error:
            self._own_process(error)
            return _judge(job, task, options, error, time.monotonic() - started)
        self._own_process(None)
        return wire.Succeeded(job.claim, job.id, job.attempt, time.monotonic() - started, encoded)


class ResultTooLarge(Exception):
    """The result is larger than can be stored."""


def _limit(options: wire.JobOptions, task: RunnableTask) -> float | None:
    """Seconds that the attempt may take."""
    timeout = options.timeout or task.timeout
    return None if timeout is None else min(timeout, LONGEST_WAIT)


def _encoded(task: RunnableTask, result: Any) -> bytes | None:
    encoded = task.encode(result)
    if encoded is not None and len(encoded) > LARGEST_RESULT:
        raise ResultTooLarge(
            f"the result takes {len(encoded):,} bytes of JSON, the limit is {LARGEST_RESULT:,}; "
            "store it elsewhere and return its key"
        )
    return encoded


def _judge(
    job: wire.Job,
    task: RunnableTask,
    options: wire.JobOptions,
    error: BaseException,
    seconds: float,
) -> wire.Report:
    """What becomes of a job whose task raised `error`, whose class may be anybody's."""
    try:
        if verdict := _verdict(job, error, seconds):
            return verdict
        is_retry = isinstance(error, Retry)
        given = getattr(error, "after", None) if is_retry else None
        if given is not None:
            given = wait_seconds(given, "after")
    except BaseException as worse:
        error, given, is_retry = worse, None, False
    retries = task.retries if options.retries is None else options.retries
    after = None
    if job.attempt <= retries:
        after = min(task.backoff_seconds(job.attempt), LONGEST_WAIT) if given is None else given
    return wire.Failed(
        job.claim,
        job.id,
        job.attempt,
        seconds,
        after,
        _text(lambda: _class_name(error), NAME_CHARS),
        _text(lambda: str(error), MESSAGE_CHARS),
        None if is_retry else _text(lambda: _traceback(error), TRACEBACK_CHARS),
    )


def _verdict(job: wire.Job, error: BaseException, seconds: float) -> wire.Report | None:
    """What the task itself has decided, if it has."""
    if isinstance(error, Snooze):
        return wire.Snoozed(job.claim, job.id, job.attempt, wait_seconds(error.seconds, "seconds"))
    if isinstance(error, Cancel):
        return wire.Cancelled(
            job.claim, job.id, job.attempt, seconds, _text(lambda: error.reason, MESSAGE_CHARS)
        )
    return None


def _text(make: Callable[[], object], most: int) -> str:
    """Text that PostgreSQL can hold, whatever an exception's own methods do."""
    try:
        text = f"{make()}"
        # A subclass of str has methods of its own: join makes a plain one of its characters.
        text = "".join(("", text))
    except BaseException as error:
        text = f"<no text: {_class_name(error)} was raised while printing it>"
    if len(text) > most:
        half = most // 2
        text = f"{text[:half]}\n[… {len(text) - most} characters left out …]\n{text[-half:]}"
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def _class_name(error: BaseException) -> str:
    """The name of its class, also where a metaclass gives another answer, or none."""
    name: str = type.__dict__["__name__"].__get__(type(error))
    return name


def _traceback(error: BaseException) -> str:
    """The traceback without the frames of ours that lead to the task's own code."""
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None:
        if not frames.tb_frame.f_code.co_filename.startswith(OUR_FILES):
            break
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames))
