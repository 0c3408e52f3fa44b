"""The bars: what wsup sets out to reach, and how each is measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from .figures import Figures, Spread


class Bar(NamedTuple):
    """A figure, and the least or the most that it should be."""

    what: str
    #: ">=", "<=" or "<".
    sign: str
    bound: float
    measured: Callable[[Figures], Spread]
    #: How its numbers are written.
    form: str = ".2f"

    def is_met(self, value: float) -> bool:
        match self.sign:
            case ">=":
                return value >= self.bound
            case "<=":
                return value <= self.bound
            case _:
                return value < self.bound


BARS = (
    Bar("wsup start / floor", ">=", 0.5, lambda f: f.ratio("wsup", "floor before wsup")),
    Bar("wsup's statements / floor", ">=", 0.8, lambda f: f.ratio("loop", "floor")),
    Bar("large backlog / small one", ">=", 0.9, lambda f: f.ratio("wsup steady", "few steady")),
    Bar("pull, deep table / shallow", "<=", 1.5, lambda f: f.ratio_of_medians("deep", "shallow")),
    Bar("supervisor, µs of CPU a job", "<=", 12, lambda f: f.spread("supervisor cpu"), ".1f"),
    Bar("statements per 1,000 jobs", "<=", 20, lambda f: f.spread("statements"), ".1f"),
    Bar("idle latency, p50 / bare p50", "<=", 2, lambda f: f.ratio("wsup p50", "bare p50")),
    Bar(
        "memory, forked / separate", "<", 0.5, lambda f: f.ratio("forked memory", "separate memory")
    ),
    Bar("enqueue_many, rows/s", ">=", 100_000, lambda f: f.spread("enqueue_many"), ",.0f"),
)
