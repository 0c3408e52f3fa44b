"""One attempt of one job: call the task, and put into words how it ended."""

import asyncio
import contextvars
import signal
import time
import traceback
from collections.abc import Callable
from typing import Any

import msgspec

from . import wire
from .board import SYNC_PLACE, Board
from .context import CURRENT, Cancel, CurrentJob, Retry, Snooze
from .contract import RunnableApp, RunnableTask
from .load import OUR_FILES

#: Characters kept of an error's message and traceback; a failure must not fill the database.
MESSAGE_CHARS, TRACEBACK_CHARS = 10_000, 50_000

#: Seconds after which the alarm of a time-out goes off again, should it come at a bad moment.
ALARM_REPEAT = 0.1


class TimedOut(Exception):
    """The attempt took longer than its time-out."""


class JobOptions(msgspec.Struct, frozen=True):
    """What a job was given that differs from its task."""

    retries: int | None = None
    timeout: float | None = None


_NO_OPTIONS = JobOptions()
_decode_options = msgspec.json.Decoder(JobOptions).decode


class Attempts:
    """Runs attempts in this process, and shows on the board which ones are running."""

    def __init__(self, app: RunnableApp, board: Board, index: int) -> None:
        self._tasks = app.tasks
        self._board = board
        self._index = index
        #: True only while a sync task's own code runs in the main thread, and may be interrupted.
        self.in_task = False
        signal.signal(signal.SIGALRM, self._interrupt)

    def is_async(self, job: wire.Job) -> bool:
        task = self._tasks.get(job.task)
        return task is not None and task.is_async

    def run_sync(self, job: wire.Job) -> wire.Report:
        """Run a job in the calling thread, the main one."""
        task = self._tasks.get(job.task)
        if task is None:
            return wire.Unknown(job.claim, job.id, job.attempt, job.task)
        options = _decode_options(job.options) if job.options else _NO_OPTIONS
        timeout = options.timeout or task.timeout
        started = self._board.start(SYNC_PLACE, job.id, job.attempt, timeout)
        current = CurrentJob(
            job.id, job.task, job.queue, job.attempt, timeout and started + timeout, self._index
        )
        try:
            # A context of its own: what a job sets in context variables ends with it.
            result = contextvars.copy_context().run(
                self._call_sync, task, job.args, current, timeout
            )
            encoded = task.encode(result)
        except BaseException as error:
            return _judge(job, task, options, error, time.monotonic() - started)
        return wire.Succeeded(job.claim, job.id, job.attempt, time.monotonic() - started, encoded)

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
        options = _decode_options(job.options) if job.options else _NO_OPTIONS
        timeout = options.timeout or task.timeout
        started = self._board.start(place, job.id, job.attempt, timeout)
        CURRENT.set(
            CurrentJob(
                job.id, job.task, job.queue, job.attempt, timeout and started + timeout, self._index
            )
        )
        limit = asyncio.timeout(timeout)
        try:
            try:
                async with limit:
                    result = await task.call(job.args)
            except TimeoutError as error:
                if limit.expired():
                    raise TimedOut("the time-out was reached") from error
                raise
            encoded = task.encode(result)
        except BaseException as error:
            return _judge(job, task, options, error, time.monotonic() - started)
        return wire.Succeeded(job.claim, job.id, job.attempt, time.monotonic() - started, encoded)


def _judge(
    job: wire.Job, task: RunnableTask, options: JobOptions, error: BaseException, seconds: float
) -> wire.Report:
    """What becomes of a job whose task raised `error`."""
    if isinstance(error, Snooze):
        return wire.Snoozed(job.claim, job.id, job.attempt, error.seconds)
    if isinstance(error, Cancel):
        return wire.Cancelled(
            job.claim, job.id, job.attempt, seconds, _text(lambda: error.reason, MESSAGE_CHARS)
        )
    retries = task.retries if options.retries is None else options.retries
    after = None
    if job.attempt <= retries:
        given = error.after if isinstance(error, Retry) else None
        after = task.backoff_seconds(job.attempt) if given is None else given
    return wire.Failed(
        job.claim,
        job.id,
        job.attempt,
        seconds,
        after,
        type(error).__name__,
        _text(lambda: str(error), MESSAGE_CHARS),
        None if isinstance(error, Retry) else _text(lambda: _traceback(error), TRACEBACK_CHARS),
    )


def _text(make: Callable[[], str], most: int) -> str:
    """Text that PostgreSQL can hold, whatever an exception's own methods do."""
    try:
        text = make()
    except BaseException as error:
        text = f"<no text: {type(error).__name__} was raised while printing it>"
    if len(text) > most:
        half = most // 2
        text = f"{text[:half]}\n[… {len(text) - most} characters left out …]\n{text[-half:]}"
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def _traceback(error: BaseException) -> str:
    """The traceback without the frames of ours that lead to the task's own code."""
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None:
        if not frames.tb_frame.f_code.co_filename.startswith(OUR_FILES):
            break
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames))
