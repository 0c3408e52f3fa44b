"""Until when a job may start (`expires`) and go on (`deadline`): moments of the server's clock.

They are stored as such among the job's options. Seconds are counted by that clock from the
beginning: the program's own may be wrong.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec

from wsup.errors import TaskError
from wsup.options import Order
from wsup.sql.steps import Ask, Steps


def with_moments(order: Order) -> Steps[Order]:
    """The order with its limits among its options. Raises TaskError for one that would be reached
    before the job may start."""
    limits = {
        "expires_at": ("expires", order.expires, order.task_expires),
        "deadline": ("deadline", order.deadline, order.task_deadline),
    }
    rows = yield Ask("server_time", repeatable=True)
    now = datetime.fromtimestamp(rows[0][0], UTC)
    start = order.run_at or now + timedelta(seconds=order.delay or 0)
    options = msgspec.json.decode(order.options) if order.options else {}
    for key, (name, given, own) in limits.items():
        moment = _moment(given, own, now, start)
        if moment is None:
            continue
        if moment <= start and (order.run_at is not None or order.delay is not None):
            raise TaskError(
                f"task {order.task}: {name}={_shown(given)} won't do: it is not after "
                f"{_start_shown(order)}, when the job is to start"
            )
        options[key] = moment
    return replace(order, options=msgspec.json.encode(options).decode())


def _moment(
    given: float | datetime | None, own: float | None, now: datetime, start: datetime
) -> datetime | None:
    """What the job was given counts from now on, what its task says from when the job may start: a
    task is for jobs at whatever time."""
    if isinstance(given, datetime):
        return given
    if given is not None:
        return now + timedelta(seconds=given)
    return None if own is None else start + timedelta(seconds=own)


def _start_shown(order: Order) -> str:
    return f"delay={order.delay:g}" if order.run_at is None else f"run_at={order.run_at}"


def _shown(given: float | datetime | None) -> str:
    return f"{given:g}" if isinstance(given, float) else str(given)
