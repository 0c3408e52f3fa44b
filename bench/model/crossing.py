"""From how many places on one curve is above another one by a margin, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .law import law

if TYPE_CHECKING:
    from collections.abc import Callable

    from .law import Fit

#: Above the other one.
MARGIN = 1.10
#: The most places that are looked at.
MOST = 1000
#: Curves that the data would allow, too.
DRAWS = 2000
#: Of them, those that are left out at either end.
TAIL = 0.025


class Crossing(NamedTuple):
    """Where it is; None: nowhere up to MOST."""

    places: int | None
    #: Of 95 % of the curves that the data allow; None: the data can't tell.
    low: int | None = None
    high: int | None = None


def crossing(upper: Fit, lower: Fit, seed: int = 1) -> Crossing:
    """Of two fitted curves."""
    found = first(law(PLACES, *upper.values), law(PLACES, *lower.values))
    draws = _drawn(upper, lower, np.random.default_rng(seed))
    if draws is None:
        return Crossing(found)
    ordered = sorted(MOST + 1 if each is None else each for each in draws)
    cut = int(TAIL * len(ordered))
    low, high = ordered[cut], ordered[-1 - cut]
    if high > MOST:
        return Crossing(found)
    return Crossing(found, low, high)


def crossing_of(upper: Callable[[Any], Any], lower: Callable[[Any], Any]) -> Crossing:
    """Of two curves that are just given."""
    return Crossing(first(upper(PLACES), lower(PLACES)))


def first(upper: Any, lower: Any) -> int | None:
    """The number from which on it holds for all that follow."""
    short = np.flatnonzero(upper < MARGIN * lower)
    if not len(short):
        return 1
    return None if short[-1] + 1 >= MOST else int(PLACES[short[-1] + 1])


PLACES = np.arange(1, MOST + 1, dtype=float)


def _drawn(upper: Fit, lower: Fit, chance: Any) -> list[int | None] | None:
    if not all(np.all(np.isfinite(each.covariance)) for each in (upper, lower)):
        return None
    drawn = [
        np.clip(chance.multivariate_normal(each.values, each.covariance, DRAWS), 0, None)
        for each in (upper, lower)
    ]
    return [first(law(PLACES, *a), law(PLACES, *b)) for a, b in zip(*drawn, strict=True)]
