"""Removing jobs that ended long ago, piece by piece."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from .session import Session

#: Outcomes that are looked at in one transaction: it takes some 10 ms if all of them go.
PIECE = 5000


class Pruned(NamedTuple):
    """What one piece has come to."""

    #: Jobs removed.
    jobs: int
    #: The number of the job that the walk has come to.
    reached: int
    #: Whether it goes on from there at once.
    more: bool


@dataclass
class Walk:
    """The way along the outcomes by the jobs' numbers, for states that are kept equally long."""

    states: list[str]
    #: Seconds that they are kept.
    keep: float
    #: The number of the last job that was looked at.
    reached: int = 0

    def parameters(self, supervisor: int | None) -> dict[str, object]:
        return {
            "supervisor": supervisor,
            "after": self.reached,
            "states": self.states,
            "keep": self.keep,
            "most": PIECE,
        }


def walks(kept: Mapping[str, float]) -> list[Walk]:
    """The walks that remove jobs by these times: seconds by state; 0 is for ever."""
    by_time: dict[float, list[str]] = {}
    for state, seconds in sorted(kept.items()):
        if seconds > 0:
            by_time.setdefault(seconds, []).append(state)
    return [Walk(states, seconds) for seconds, states in sorted(by_time.items())]


async def prune(session: Session, walk: Walk, supervisor: int) -> Pruned:
    """Do a piece of the walk, if that is this supervisor's to do. Raises SourceLost."""
    return Pruned(*await session.row("prune", walk.parameters(supervisor)))
