"""Schedules: a task's jobs, asked for again and again. Checked where they are defined."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, get_args

from wsup.errors import ArgumentsError, ArgumentsTooLarge, TaskError
from wsup.options import RULES
from wsup.subworkers.declared import ScheduleInfo
from wsup.supervisor.ticks import CatchUp, Unticking, rhythm
from wsup.task import BaseTask

__all__ = ["CatchUp", "Schedule", "make_schedule"]

#: Bytes of JSON; the arguments of a schedule pass from process to process when an app is loaded.
MOST_ARGS: Final = 8 * 1024


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a task is to run again and again; made by `app.schedule`."""

    name: str
    task: BaseTask[..., Any]
    #: By name.
    args: Mapping[str, object]
    cron: str | None
    timezone: str
    #: Seconds.
    every: float | None
    catch_up: CatchUp

    def info(self) -> ScheduleInfo:
        """What supervisors are told of it. Raises ArgumentsError, TaskError."""
        task = self.task
        with _named(f"schedule {self.name}"):
            data = task.signature.dump(self.args, sys.maxsize)
            if len(data) > MOST_ARGS:
                raise ArgumentsTooLarge(
                    f"args take {len(data):,} bytes of JSON, the limit is {MOST_ARGS:,}; store "
                    "them elsewhere and pass a key"
                )
        return ScheduleInfo(
            self.name, task.name, task.queue, task.priority, data.decode(),
            self.cron, self.timezone, self.every, self.catch_up,
        )  # fmt: skip


def make_schedule(
    task: BaseTask[..., Any],
    cron: str | None,
    *,
    every: float | timedelta | None,
    timezone: str | None,
    args: Sequence[object],
    kwargs: Mapping[str, object] | None,
    name: str | None,
    catch_up: CatchUp,
) -> Schedule:
    """A schedule of `task` that can be kept. Raises TaskError, ArgumentsError."""
    label = task.name if name is None else name
    what = f"schedule {label}"
    fits, need = RULES["name"]
    if not fits(label):
        raise TaskError(f"schedule of {task.name}: name={name!r} won't do: give {need}")
    if (cron is None) == (every is None):
        raise TaskError(f"{what}: give a cron expression such as '*/5 * * * *', or every=…")
    if every is not None and timezone is not None:
        raise TaskError(
            f"{what}: timezone={timezone!r} means nothing to every=…, which counts seconds: "
            "leave it out, or give a cron expression"
        )
    if catch_up not in get_args(CatchUp):
        raise TaskError(f"{what}: catch_up={catch_up!r} won't do: give 'none', 'last' or 'all'")
    if not isinstance(args, list | tuple):
        raise TaskError(f"{what}: args={args!r:.80} won't do: give a tuple, and names as kwargs=…")
    if not isinstance(kwargs, Mapping | None):
        raise TaskError(f"{what}: kwargs={kwargs!r:.80} won't do: give a dict of arguments by name")
    seconds = _rhythmic(what, cron, timezone or "UTC", every)
    with _named(what):
        values = task.signature.bind(args, dict(kwargs or {}))
    schedule = Schedule(label, task, values, cron, timezone or "UTC", seconds, catch_up)
    # An annotation may name what is defined further down: then it is seen when the app is loaded.
    with suppress(TaskError):
        schedule.info()
    return schedule


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Says of which schedule the arguments don't fit."""
    try:
        yield
    except ArgumentsError as error:
        raise type(error)(f"{what}: {error}") from None


def _rhythmic(
    what: str, cron: str | None, timezone: str, every: float | timedelta | None
) -> float | None:
    """The seconds of `every`. Raises TaskError for a rhythm that can't be kept."""
    seconds: Any = every.total_seconds() if isinstance(every, timedelta) else every
    given = {"cron": cron, "timezone": timezone, "every": every}
    try:
        if seconds is not None and (
            isinstance(seconds, bool) or not isinstance(seconds, int | float)
        ):
            raise Unticking("every", "seconds, or a timedelta")
        rhythm(cron, timezone, seconds)
    except Unticking as error:
        raise TaskError(f"{what}: {error.key}={given[error.key]!r:.80} won't do: {error}") from None
    return None if seconds is None else round(float(seconds), 6)
