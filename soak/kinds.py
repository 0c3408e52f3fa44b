"""The kinds of jobs, and how each must end."""

from __future__ import annotations

from typing import NamedTuple

#: Of the kind "limited" so many run at once, of "hosted" on each host.
MOST_AT_ONCE, MOST_ON_A_HOST = 3, 2
#: Of the kind "metered" so many start a second, and so many are saved up.
STARTS_A_SECOND, SAVED_UP = 6, 3
#: The queue in which tenants take turns.
FAIR = "shared"
#: Retries of a kind that should succeed: more than injected faults will ever use up.
SPARE = 5


class Kind(NamedTuple):
    """What is known of a task beforehand."""

    name: str
    #: From this attempt on it succeeds; None: never.
    good_from: int | None = 1
    retries: int = SPARE
    #: Its attempts before `good_from` raise an error …
    raises: bool = False
    #: … or end their own process.
    crashes: bool = False


KINDS = {
    kind.name: kind
    for kind in (
        Kind("noop"),
        Kind("nap"),
        Kind("nap_async"),
        Kind("large"),
        Kind("snooze"),
        Kind("fickle", good_from=3, raises=True),
        Kind("doomed", good_from=None, retries=2, raises=True),
        Kind("crash_once", good_from=2, crashes=True),
        Kind("child"),
        Kind("unique"),
        Kind("limited"),
        Kind("hosted"),
        Kind("metered"),
        Kind("shared"),
        Kind("crash", good_from=None, retries=1, crashes=True),
    )
}
