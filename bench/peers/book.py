"""Looking figures up in the results of a run."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from .errors import PeerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .results import Measured, Results

OURS = "wsup"


class NotMeasured(PeerError):
    """The run has no such figure."""


class Found(NamedTuple):
    """A figure of a system, or of the best of some."""

    value: float
    system: str


class Book:
    """The medians of one run."""

    def __init__(self, results: Results) -> None:
        self.cores = results.about.cores
        self._measured = results.measured

    def figure(self, workload: str, figure: str, system: str = OURS) -> float:
        """Raises NotMeasured."""
        return self.best(workload, figure, lambda one: one.system == system, system).value

    def best(
        self,
        workload: str,
        figure: str,
        choice: Callable[[Measured], bool],
        who: str,
        *,
        least: bool = False,
    ) -> Found:
        """The most, or the least, of the systems that are chosen. Raises NotMeasured."""
        values: dict[str, list[float]] = {}
        for one in self._measured:
            if one.workload == workload and figure in one.figures and choice(one):
                values.setdefault(one.system, []).append(one.figures[figure])
        if not values:
            raise NotMeasured(f"no {workload} of {who} in this run")
        found = [Found(median(several), system) for system, several in values.items()]
        return (min if least else max)(found)

    def series(self, workload: str, name: str, system: str = OURS) -> list[float]:
        """Median by median over the rounds. Raises NotMeasured."""
        rounds = [
            one.series[name]
            for one in self._measured
            if (one.workload, one.system) == (workload, system) and name in one.series
        ]
        if not rounds:
            raise NotMeasured(f"no {workload} of {system} in this run")
        return [median(values) for values in zip(*rounds, strict=False)]

    def option(self, workload: str, name: str) -> float:
        """A number of wsup's settings. Raises NotMeasured."""
        for one in self._measured:
            if (one.workload, one.system) == (workload, OURS) and name in one.settings:
                return float(one.settings[name])
        raise NotMeasured(f"the settings of {workload} don't say {name}")


def is_peer(one: Measured) -> bool:
    return one.system != OURS and not one.yardstick


def is_python_peer(one: Measured) -> bool:
    return is_peer(one) and one.language == "python"


def is_isolating_peer(one: Measured) -> bool:
    return is_peer(one) and one.isolates


def is_durable_peer(one: Measured) -> bool:
    return is_peer(one) and one.durable
