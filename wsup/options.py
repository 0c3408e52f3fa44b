"""The options of a task, and what may be said of a single job. Checked where they are given."""

import logging
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from wsup.errors import TaskError
from wsup.parents import OnParentFailure, Parent, Parents, as_parents, both

#: What becomes of a job whose unique key belongs to another one.
OnConflict: TypeAlias = Literal["skip", "replace", "raise"]
#: Seconds from when the job is enqueued, or a moment.
When: TypeAlias = float | timedelta | datetime


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait after a failed attempt: exponentially longer, with jitter. In seconds.

    `jitter` is the share of the wait that is left to chance, so that jobs which failed together
    don't come back together: 0 none, 0.5 "equal jitter", 1 "full jitter", as Marc Brooker compares
    them in "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015). Raises TaskError.
    """

    #: The wait after the first failure.
    first: float = 1.0
    #: By how much each wait is longer than the one before.
    factor: float = 2.0
    #: The longest wait.
    most: float = 3600.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        fits = (
            ("first", self.first, _is_seconds(self.first), "seconds from 0 on"),
            ("factor", self.factor, _is_seconds(self.factor) and self.factor >= 1, "a factor >= 1"),
            ("most", self.most, _is_seconds(self.most), "seconds from 0 on"),
            ("jitter", self.jitter, _is_seconds(self.jitter) and self.jitter <= 1, "from 0 to 1"),
        )
        for name, value, fit, need in fits:
            if not fit:
                raise TaskError(f"Backoff({name}={value!r}): give {need}")

    def seconds(self, attempt: int) -> float:
        """The wait after failed attempt number `attempt`, from 1."""
        try:
            wait = min(self.most, self.first * self.factor ** (attempt - 1))
        except OverflowError:
            wait = self.most
        return wait * (1 - self.jitter * random.random())  # noqa: S311  (no secret)


#: From which level on log records are captured.
LevelName: TypeAlias = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


def as_level(capture_logs: bool | LevelName) -> int | None:
    """The number of the level; None: nothing is captured."""
    if isinstance(capture_logs, bool):
        return logging.INFO if capture_logs else None
    return logging.getLevelNamesMapping()[capture_logs]


def as_backoff(value: Backoff | float) -> Backoff:
    """A number means that many seconds after every failure."""
    return value if isinstance(value, Backoff) else Backoff(value, 1.0, value, 0.0)


def _is_integer(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _is_time(value: object) -> bool:
    """A number of seconds, or a timedelta, that can be meant."""
    seconds = in_seconds(value)
    return _is_seconds(seconds) and 0 < seconds <= LONGEST_TIME


def _is_moment(value: object) -> bool:
    return isinstance(value, datetime) and value.utcoffset() is not None


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable()


#: Of a task, a queue or a key, in characters; an index entry must hold it.
LONGEST_NAME: Final = 200
#: A delay or time-out that is longer is a mistake; in seconds (100 years).
LONGEST_TIME: Final = 100 * 366 * 86400

#: What `expires` and `deadline` take.
WHEN: Final = "seconds above 0, a timedelta, or a datetime with a time zone"
#: Jobs that wait for others are held by one host, in seconds.
LONGEST_BATCH_WAIT: Final = 60

#: For each option: whether a value will do, and what to say if it won't.
RULES: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "name": (_is_name, f"1 to {LONGEST_NAME} printable characters"),
    "queue": (_is_name, f"1 to {LONGEST_NAME} printable characters"),
    "key": (_is_name, f"1 to {LONGEST_NAME} printable characters"),
    "key_limit": (lambda v: _is_integer(v, 1, 32767), "an integer from 1 to 32767"),
    "priority": (
        lambda v: _is_integer(v, -32768, 32767),
        "an integer from -32768 to 32767; higher runs earlier",
    ),
    "retries": (lambda v: _is_integer(v, 0, 30000), "an integer from 0 to 30000"),
    "timeout": (
        lambda v: v is None or (_is_seconds(v) and 0 < v <= LONGEST_TIME),
        "seconds above 0, or None for no limit",
    ),
    "batch": (lambda v: _is_integer(v, 1, 10_000), "an integer from 1 to 10000"),
    "batch_wait": (
        lambda v: _is_seconds(v) and v <= LONGEST_BATCH_WAIT,
        f"seconds from 0 to {LONGEST_BATCH_WAIT}",
    ),
    "backoff": (
        lambda v: isinstance(v, Backoff) or _is_seconds(v),
        "seconds from 0 on, or a wsup.Backoff",
    ),
    "capture_logs": (
        lambda v: isinstance(v, bool) or v in get_args(LevelName),
        f"True, False, or the least level of records: {', '.join(get_args(LevelName))}",
    ),
    "run_at": (_is_moment, "a datetime with a time zone, such as datetime.now(timezone.utc)"),
    "delay": (
        lambda v: _is_seconds(in_seconds(v)) and in_seconds(v) <= LONGEST_TIME,
        "seconds from 0 on, or a timedelta",
    ),
    "expires": (lambda v: _is_time(v) or _is_moment(v), WHEN),
    "deadline": (lambda v: _is_time(v) or _is_moment(v), WHEN),
    "unique_key": (
        lambda v: _is_name(v) or callable(v),
        f"1 to {LONGEST_NAME} printable characters, or a function of the task's arguments",
    ),
    "on_conflict": (lambda v: v in get_args(OnConflict), "'skip', 'replace' or 'raise'"),
    "unique_for": (
        _is_time,
        "seconds above 0, or a timedelta; or leave it out: until it has ended",
    ),
}


def check(task: str, **options: object) -> None:
    """Raise TaskError for a value that an option can't have."""
    for option, value in options.items():
        fits, need = RULES[option]
        if not fits(value):
            raise TaskError(f"task {task}: {option}={value!r} won't do: give {need}")


def check_limits(task: str, **limits: object) -> None:
    """Raise TaskError for an `expires` or a `deadline` that a task can't have."""
    for name, value in limits.items():
        if value is not None and not _is_time(value):
            raise TaskError(
                f"task {task}: {name}={value!r} won't do: give seconds above 0, or a timedelta"
            )


def check_app(**options: object) -> None:
    """Raise TaskError for a value that an option of an app can't have."""
    for option, value in options.items():
        fits, need = RULES[option]
        if not fits(value):
            raise TaskError(f"App({option}={value!r}) won't do: give {need}")


def check_name(task: str) -> str:
    """The name of a task, if it can be one. Raises TaskError."""
    check(repr(task), name=task)
    return task


def in_seconds(value: Any) -> Any:
    """A timedelta in seconds; all else as it is."""
    return value.total_seconds() if isinstance(value, timedelta) else value


_NO_LIMITS: Final = (None, None, None, None)


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for with a job, besides its arguments."""

    task: str
    queue: str = "default"
    priority: int = 0
    run_at: datetime | None = None
    #: Seconds from the moment it is enqueued, by the server's clock.
    delay: float | None = None
    #: JSON: what differs from the task's own retries and timeout.
    options: str | None = None
    #: The jobs that must end before …
    after: tuple[Parent, ...] = ()
    #: … and those of them that may end in whatever way.
    after_lax: tuple[Parent, ...] = ()
    #: Until when it may start, and go on: seconds from the moment it is enqueued, or a moment …
    expires: float | datetime | None = None
    deadline: float | datetime | None = None
    #: … and what the task itself says: seconds from when the job may start.
    task_expires: float | None = None
    task_deadline: float | None = None
    unique_key: str | Callable[..., str | None] | None = None
    on_conflict: OnConflict = "skip"
    #: Seconds; None: until the job has ended.
    unique_for: float | None = None

    @property
    def is_limited(self) -> bool:
        """Is there a time at which it is too late for the job?"""
        return (self.expires, self.deadline, self.task_expires, self.task_deadline) != _NO_LIMITS

    #: Of the jobs with this key, over all hosts …
    key: str | None = None
    #: … so many run at once; None: one.
    key_limit: int | None = None

    def changed(
        self,
        *,
        queue: str | None,
        priority: int | None,
        run_at: datetime | None,
        delay: float | timedelta | None,
        retries: int | None,
        timeout: float | None,
        expires: When | None = None,
        deadline: When | None = None,
        unique_key: str | Callable[..., str | None] | None = None,
        on_conflict: OnConflict | None = None,
        unique_for: float | timedelta | None = None,
        after: Parents | None = None,
        after_lax: Parents | None = None,
        on_parent_failure: OnParentFailure = "cancel",
        key: str | None = None,
        key_limit: int | None = None,
    ) -> "Order":
        """This order with what is not None. Raises TaskError for what won't do."""
        given: dict[str, Any] = {
            "queue": queue,
            "priority": priority,
            "run_at": run_at,
            "delay": delay,
            "retries": retries,
            "timeout": timeout,
            "expires": expires,
            "deadline": deadline,
            "unique_key": unique_key,
            "on_conflict": on_conflict,
            "unique_for": unique_for,
            "key": key,
            "key_limit": key_limit,
        }
        given = {name: value for name, value in given.items() if value is not None}
        check(self.task, **given)
        if run_at is not None and delay is not None:
            raise TaskError(f"task {self.task}: give run_at or delay, not both")
        for name in ("delay", "expires", "deadline", "unique_for"):
            if name in given and not isinstance(given[name], datetime):
                given[name] = float(in_seconds(given[name]))
        if unique_key is None and (given.keys() & {"on_conflict", "unique_for"}):
            raise TaskError(
                f"task {self.task}: on_conflict and unique_for mean nothing without a unique_key"
            )
        if key is None and key_limit is not None:
            raise TaskError(f"task {self.task}: key_limit={key_limit} limits nothing: give a key")
        if key is not None and unique_key is not None:
            raise TaskError(f"task {self.task}: give key={key!r} or a unique_key, not both")
        own = {name: given.pop(name) for name in ("retries", "timeout") if name in given}
        if own:
            given["options"] = msgspec.json.encode(own).decode()
        given["after"], given["after_lax"] = both(
            self.task,
            as_parents(self.task, "after", after),
            as_parents(self.task, "after_lax", after_lax),
            on_parent_failure,
        )
        if given["after"] and unique_key is not None:
            raise TaskError(
                f"task {self.task}: a job with a unique key can't wait for others: leave one out"
            )
        return replace(self, **given)
