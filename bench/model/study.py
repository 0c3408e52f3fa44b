"""What a run says of each length of jobs: points, fits, and where the batch wins."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..errors import BenchError
from ..peers.book import OURS
from ..peers.scale import PAUSES
from .crossing import crossing
from .law import Fit, fit

if TYPE_CHECKING:
    from ..peers.results import Results
    from .crossing import Crossing

#: The system that pulls one job at a time.
SINGLE = "single"
SYSTEMS = (OURS, SINGLE)


class Curve(NamedTuple):
    """One system."""

    system: str
    #: All rounds.
    places: list[float]
    rates: list[float]
    fit: Fit


class Study(NamedTuple):
    """One length of jobs."""

    #: Milliseconds.
    pause: int
    batch: Curve
    single: Curve
    crossing: Crossing


def studies(results: Results) -> list[Study]:
    """Of all lengths that the run has. Raises BenchError if it has none."""
    found = []
    for workload, pause in PAUSES.items():
        curves = [_curve(results, workload, system) for system in SYSTEMS]
        batch, single = curves
        if batch is not None and single is not None:
            found.append(Study(pause, batch, single, crossing(batch.fit, single.fit)))
    if not found:
        names = ",".join(PAUSES)
        raise BenchError(f"no scale-out of {' and '.join(SYSTEMS)}: make bench-long ONLY={names}")
    return found


def _curve(results: Results, workload: str, system: str) -> Curve | None:
    places: list[float] = []
    rates: list[float] = []
    for one in results.measured:
        if (one.workload, one.system) == (workload, system) and "rates" in one.series:
            places += one.series["places"]
            rates += one.series["rates"]
    return Curve(system, places, rates, fit(places, rates)) if places else None
