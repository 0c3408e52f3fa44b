"""Limits of tasks, queues and keys: what may be said of them, and setting them by hand."""

import re
from typing import Final, Literal, NamedTuple, TypeAlias, TypedDict

import msgspec

from wsup.errors import TaskError
from wsup.options import RULES
from wsup.sql.steps import Ask, Steps
from wsup.subworkers.declared import LimitInfo

Kind: TypeAlias = Literal["task", "queue", "key"]

#: So many a second, minute, hour or day, as `wsup.per_second` reads it.
_RATE: Final = re.compile(r"(\d{1,7}(?:\.\d{1,6})?)/(second|minute|hour|day)")
_MOST: Final = 32_767
_RULES: Final = {
    "max_running": (1, _MOST, f"an integer from 1 to {_MOST}"),
    "per_host": (1, _MOST, f"an integer from 1 to {_MOST}"),
    "burst": (1, 2**31 - 1, "an integer from 1 on"),
}


class TaskLimits(TypedDict, total=False):
    """What `app.task(...)` takes of a limit; None, as if it weren't given."""

    max_running: int | None
    per_host: int | None
    rate: str | None
    burst: int | None


class Limit(NamedTuple):
    """What one task, queue or key is limited to; None: it is not."""

    max_running: int | None = None
    per_host: int | None = None
    rate: str | None = None
    burst: int | None = None

    def info(self, kind: str, name: str) -> LimitInfo:
        said = {key: value for key, value in self._asdict().items() if value is not None}
        return LimitInfo(kind, name, msgspec.json.encode(said).decode())


class ActiveLimit(NamedTuple):
    """A limit in force, and how much of it is used."""

    kind: str
    name: str
    max_running: int | None
    per_host: int | None
    rate: str | None
    burst: int | None
    #: Set by somebody, whatever the code says.
    by_hand: bool
    #: How many of its jobs have a turn (only with `max_running`), and how many stand in line.
    turns: int
    blocked: int


def checked(
    kind: Kind,
    name: str,
    *,
    max_running: int | None = None,
    per_host: int | None = None,
    rate: str | None = None,
    burst: int | None = None,
) -> Limit:
    """These limits, if they can be meant. Raises TaskError."""
    what = f"{kind} {name}"
    fits, need = RULES["name"]
    if not fits(name):
        raise TaskError(f"{kind} {name!r}: give a name of {need}")
    limit = Limit(max_running, per_host, rate, burst)
    for option, (least, most, need) in _RULES.items():
        value: object = getattr(limit, option)
        if value is not None and (
            not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most
        ):
            raise TaskError(f"{what}: {option}={value!r} won't do: give {need}")
    if rate is not None and not _is_rate(rate):
        raise TaskError(
            f"{what}: rate={rate!r} won't do: give so many a second, minute, hour or day, such as "
            "'100/minute'"
        )
    if burst is not None and rate is None:
        raise TaskError(f"{what}: burst={burst} means nothing without a rate")
    if per_host is not None and max_running is not None and per_host > max_running:
        raise TaskError(
            f"{what}: per_host={per_host} is more than max_running={max_running}, of all hosts"
        )
    if kind == "key" and (max_running is not None or per_host is not None):
        raise TaskError(f"{what}: how many jobs of a key run at once says its key_limit")
    if kind == "queue" and per_host is not None:
        raise TaskError(f"{what}: per_host={per_host} won't do: it is for tasks")
    return limit


def which(task: str | None, queue: str | None, key: str | None) -> tuple[Kind, str]:
    """The one of them that is named. Raises TaskError."""
    named: list[tuple[Kind, str | None]] = [("task", task), ("queue", queue), ("key", key)]
    given = [(kind, name) for kind, name in named if name is not None]
    if len(given) != 1:
        raise TaskError("a limit: name one of task, queue and key")
    return given[0]


def set_limit(kind: Kind, name: str, limit: Limit) -> Steps[None]:
    """Set the limits of one of these by hand; what is None has none."""
    yield Ask("limit_set", (kind, name, *limit, True), repeatable=True)


def reset_limit(kind: Kind, name: str) -> Steps[None]:
    """Let the code say again what they are."""
    yield Ask("limit_set", (kind, name, None, None, None, None, False), repeatable=True)


def limits() -> Steps[list[ActiveLimit]]:
    """Those in force, by kind and name."""
    rows = yield Ask("limits_list", repeatable=True)
    return [ActiveLimit(*row) for row in rows]


def _is_rate(rate: object) -> bool:
    found = _RATE.fullmatch(rate) if isinstance(rate, str) else None
    return found is not None and float(found[1]) > 0
