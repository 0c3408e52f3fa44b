"""What was measured: for every name the values of all rounds."""

from __future__ import annotations

from statistics import median
from typing import NamedTuple


class Spread(NamedTuple):
    """The median of some values, and their range."""

    median: float
    low: float
    high: float
    #: How many they are.
    size: int


def spread(values: list[float]) -> Spread:
    return Spread(median(values), min(values), max(values), len(values))


def percentile(values: list[float], percent: int) -> float:
    """The smallest of `values` that `percent` of them don't exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


class Figures:
    """The values by name, in the order in which they were first added."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}

    def add(self, name: str, value: float) -> None:
        self._values.setdefault(name, []).append(value)

    def last(self, name: str) -> float:
        return self._values[name][-1]

    def spread(self, name: str) -> Spread:
        return spread(self._values[name])

    def ratio(self, over: str, under: str) -> Spread:
        """`over` by `under`, round by round: neighbours in time are divided by each other."""
        pairs = zip(self._values[over], self._values[under], strict=True)
        return spread([a / b for a, b in pairs])

    def ratio_of_medians(self, over: str, under: str) -> Spread:
        """For values that have no neighbours to be divided by."""
        value = self.spread(over).median / self.spread(under).median
        return Spread(value, value, value, 1)
