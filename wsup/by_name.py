"""Enqueueing a job without its app."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import msgspec
import psycopg

from wsup.enqueue import perform_for_caller
from wsup.errors import ArgumentsError
from wsup.insert import insert_one
from wsup.options import OnConflict, Order, When, check_name
from wsup.parents import OnParentFailure, Parents
from wsup.sql.steps import Steps, drive
from wsup.timing import with_moments
from wsup.unique import insert_unique, key_of

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def enqueue_by_name(
    connection: psycopg.Connection[Any],
    task: str,
    args: str = "{}",
    *,
    queue: str = "default",
    priority: int = 0,
    run_at: datetime | None = None,
    delay: float | timedelta | None = None,
    retries: int | None = None,
    timeout: float | None = None,
    expires: When | None = None,
    deadline: When | None = None,
    unique_key: str | None = None,
    on_conflict: OnConflict | None = None,
    unique_for: float | timedelta | None = None,
    after: Parents | None = None,
    after_lax: Parents | None = None,
    on_parent_failure: OnParentFailure = "cancel",
    key: str | None = None,
    key_limit: int | None = None,
) -> int:
    """Enqueue a job without its app: nothing is known of the task but its name. Returns its id, or
    that of the job that has its unique key.

    `args` is a JSON object of the arguments by name; whether they fit is found out when the job
    runs. The rest is as in `Task.options`. Raises ArgumentsError, TaskError, JobExists,
    DatabaseError.
    """
    order = Order(check_name(task)).changed(
        queue=queue,
        priority=priority,
        run_at=run_at,
        delay=delay,
        retries=retries,
        timeout=timeout,
        expires=expires,
        deadline=deadline,
        unique_key=unique_key,
        on_conflict=on_conflict,
        unique_for=unique_for,
        after=after,
        after_lax=after_lax,
        on_parent_failure=on_parent_failure,
        key=key,
        key_limit=key_limit,
    )
    try:
        _OBJECT.decode(args)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ArgumentsError(
            f"task {task}: {args!r:.80} is no JSON object of its arguments: {error}"
        ) from None
    return drive(_insert_by_name(order, args.encode()), partial(perform_for_caller, connection))


def _insert_by_name(order: Order, data: bytes) -> Steps[int]:
    if order.is_limited:
        order = yield from with_moments(order)
    if order.unique_key is None:
        return (yield from insert_one(order, data))
    ((job, _),) = yield from insert_unique(order, [data], [key_of(order, ((), {}))])
    return job
