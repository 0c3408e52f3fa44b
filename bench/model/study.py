"""What runs say of each length of jobs: points, fits, and where the batch wins."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..errors import BenchError
from ..peers import agents
from ..peers.agents import DIRECT, SERVED
from ..peers.scale import PAUSES
from .crossing import crossing
from .law import Fit, fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..peers.results import Results
    from .crossing import Crossing

#: The system that pulls one job at a time.
SINGLE = "single"
SYSTEMS = (DIRECT, SINGLE, SERVED)


class Curve(NamedTuple):
    """One system."""

    system: str
    #: All rounds.
    places: list[float]
    rates: list[float]
    fit: Fit


class Study(NamedTuple):
    """One length of jobs; two of the three curves are there at least."""

    #: Milliseconds.
    pause: int
    batch: Curve | None
    single: Curve | None
    #: Over HTTP.
    served: Curve | None

    @property
    def curves(self) -> list[Curve]:
        return [each for each in (self.batch, self.single, self.served) if each is not None]

    @property
    def crossings(self) -> list[tuple[Curve, Crossing]]:
        """From where on each of the others is above the one that pulls one job at a time."""
        single = self.single
        if single is None:
            return []
        others = [each for each in (self.batch, self.served) if each is not None]
        return [(each, crossing(each.fit, single.fit)) for each in others]


def studies(several: Sequence[Results]) -> list[Study]:
    """Of all lengths that these runs have; each curve is of the first one that has it.

    Raises BenchError if there is no length of which there are two curves.
    """
    found = []
    for workload, pause in PAUSES.items():
        study = Study(pause, *(_curve(several, workload, system) for system in SYSTEMS))
        if len(study.curves) > 1:
            found.append(study)
    if not found:
        raise BenchError(
            f"no scale-out of two of {', '.join(SYSTEMS)}: make bench-long "
            f"ONLY={','.join(PAUSES)}, or make bench ONLY=http"
        )
    return found


def _curve(several: Sequence[Results], workload: str, system: str) -> Curve | None:
    for results in several:
        for name, series in _series(workload):
            rounds = [
                one.series
                for one in results.measured
                if (one.workload, one.system) == (name, system) and series in one.series
            ]
            if rounds:
                places = [each for one in rounds for each in one["places"]]
                rates = [each for one in rounds for each in one[series]]
                return Curve(system, places, rates, fit(places, rates))
    return None


def _series(workload: str) -> list[tuple[str, str]]:
    """The workloads, and the series of each, that have jobs of this length."""
    kinds = [name for name, kind in agents.KINDS.items() if kind.pause == PAUSES[workload]]
    return [(workload, "rates"), *((agents.NAME, f"{kind}_rate") for kind in kinds)]
