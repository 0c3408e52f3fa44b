"""In which order the jobs of a queue start, if not by priority and age alone."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeAlias

from wsup.errors import TaskError
from wsup.options import in_seconds
from wsup.sql.steps import Ask, Steps
from wsup.subworkers.declared import QueueOrder

#: "10m", seconds, or a timedelta.
Ageing: TypeAlias = str | float | timedelta

UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
#: Seconds. Below, the clock would count for more than any priority; above, nobody waits.
LEAST, MOST = 1, 365 * 86400


@dataclass(frozen=True, slots=True)
class DeclaredOrder:
    """What an app's code says of a queue; made by `app.queue`."""

    queue: str
    fair: bool
    #: Seconds; 0 for none.
    ageing: float

    def info(self) -> QueueOrder:
        return QueueOrder(self.queue, self.fair, self.ageing)


def declare(queue: str, fair: bool | None, ageing: Ageing | None) -> DeclaredOrder:
    """What is not said is off. Raises TaskError."""
    return DeclaredOrder(queue, bool(_checked(queue, fair)), _seconds(queue, ageing) or 0)


def set_order(queue: str, fair: bool | None, ageing: Ageing | None) -> Steps[bool]:
    """Set what isn't None; an `ageing` of 0 is none. Raises TaskError."""
    values = (queue, _checked(queue, fair), _seconds(queue, ageing))
    rows = yield Ask("queue_set", values, repeatable=True)
    return bool(rows[0][0])


def _checked(queue: str, fair: bool | None) -> bool | None:
    if fair is not None and not isinstance(fair, bool):
        raise TaskError(f"queue {queue!r}: fair={fair!r} won't do: give True or False")
    return fair


def _seconds(queue: str, ageing: Ageing | None) -> float | None:
    seconds = in_seconds(ageing)
    if isinstance(ageing, str) and (said := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", ageing)):
        seconds = float(said[1]) * UNITS[said[2]]
    if seconds is None:
        return None
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if is_number and (seconds == 0 or LEAST <= seconds <= MOST):
        return float(seconds)
    raise TaskError(
        f"queue {queue!r}: ageing={ageing!r} won't do: give a time from 1 second to 365 days, as "
        "90s, 15m, 2h or 7d, in seconds, or as a timedelta; 0 for none"
    )
