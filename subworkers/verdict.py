"""How an attempt has ended, put into words, whatever the task has raised."""

import asyncio
import traceback
from collections.abc import Callable

from . import wire
from .context import LONGEST_WAIT, Cancel, CancelRequested, Retry, Snooze, wait_seconds
from .contract import RunnableTask
from .job_options import JobOptions
from .limits import DeadlinePassed, Expired, Limits
from .load import OUR_FILES
from .texts import storable

#: Characters kept of an error's message and traceback; a failure must not fill the database.
MESSAGE_CHARS, TRACEBACK_CHARS = 10_000, 50_000

#: … and of an exception's name.
NAME_CHARS = 200


def judge(
    job: wire.Job,
    task: RunnableTask,
    options: JobOptions,
    error: BaseException,
    seconds: float,
    limits: Limits,
    now: float | None,
) -> wire.Report:
    """What becomes of a job whose task raised `error`, whose class may be anybody's; `now` by the
    server's clock."""
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
    is_late = isinstance(error, DeadlinePassed)
    is_quiet = is_retry or is_late
    after, forbidden = None, ""
    if job.attempt <= retries and not is_late:
        after = min(task.backoff_seconds(job.attempt), LONGEST_WAIT) if given is None else given
        if forbidden := limits.forbids_retry(after, now):
            after = None
    return wire.Failed(
        job.claim,
        job.id,
        job.attempt,
        seconds,
        after,
        _text(lambda: _class_name(error), NAME_CHARS),
        _text(lambda: str(error), MESSAGE_CHARS) + forbidden,
        None if is_quiet else _text(lambda: _traceback(error), TRACEBACK_CHARS),
    )


def cancelled(job: wire.Job, error: BaseException, seconds: float) -> wire.Report:
    """What becomes of a job that was to be cancelled, and has ended by `error`."""
    reason = wire.BY_REQUEST
    if not isinstance(error, CancelRequested | asyncio.CancelledError):
        reason += f"; its task then raised {_text(lambda: _class_name(error), NAME_CHARS)}: "
        reason += _text(lambda: str(error), MESSAGE_CHARS)
    return wire.Cancelled(job.claim, job.id, job.attempt, seconds, reason)


def _verdict(job: wire.Job, error: BaseException, seconds: float) -> wire.Report | None:
    """What the task itself has decided, if it has, or its start."""
    if isinstance(error, Expired):
        return wire.Expired(job.claim, job.id, job.attempt, str(error))
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
    return storable(text)


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
