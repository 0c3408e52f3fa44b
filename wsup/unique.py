"""Unique jobs: of a task, one with the same key at a time."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from wsup.errors import ArgumentsError, JobExists
from wsup.options import RULES, Order
from wsup.sql.steps import Ask, Steps

#: What a call has done about a job: made it, left another one with its key as it was, or changed
#: that one into what was asked for.
Made: TypeAlias = Literal["new", "existing", "replaced"]

#: A job's arguments as a call would pass them.
Call: TypeAlias = tuple[Sequence[Any], Mapping[str, Any]]

_FITS: Final = RULES["unique_key"][0]
_NEED: Final = RULES["name"][1]


def key_of(order: Order, call: Call) -> str | None:
    """The unique key of a job, None for none. Raises ArgumentsError for one that can't be a key."""
    if not callable(order.unique_key):
        return order.unique_key
    key = order.unique_key(*call[0], **call[1])
    if key is not None and not (isinstance(key, str) and _FITS(key)):
        raise ArgumentsError(
            f"task {order.task}: unique_key(…) returned {key!r:.80}: give {_NEED}, or None for a "
            "job that is not unique"
        )
    return key


def insert_unique(
    order: Order, lines: Sequence[bytes], keys: Sequence[str | None], *, many: bool = False
) -> Steps[list[tuple[int, Made]]]:
    """Enqueue a job for each of `lines`, unless another one has its key. Returns their ids, in that
    order, each with what was done. Raises JobExists, with nothing done."""
    if not lines:
        return []
    rows = yield Ask(
        "enqueue_once",
        (
            order.task,
            order.queue,
            order.priority,
            order.run_at,
            order.delay,
            order.options,
            [line.decode() for line in lines],
            list(keys),
            order.on_conflict,
            order.unique_for,
        ),
    )
    if rows[0][2] == "conflict":
        item, job, _ = rows[0]
        raise _conflict(order, job, keys[item - 1], item - 1 if many else None)
    return [(job, made) for _, job, made in rows]


def _conflict(order: Order, job: int | None, key: str | None, item: int | None) -> JobExists:
    where = "" if item is None else f"item {item}: "
    who = "an item before it" if job is None else f"job {job}"
    return JobExists(
        f"{where}{who} has the unique key {key!r} of task {order.task}", job_id=job or 0, key=key
    )
