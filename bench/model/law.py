"""The Universal Scalability Law, fitted (Gunther, "Guerrilla Capacity Planning", 2007).

    X(N) = rate · N / (1 + contention · (N - 1) + coherence · N · (N - 1))

`rate` is the throughput of one, `contention` what goes one after the other, `coherence` what each
costs each other: only with it is there a peak, after which more is less.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.stats import t as student

from ..errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = ("rate", "contention", "coherence")
#: Of the intervals.
CONFIDENCE = 0.95
#: A point further from the curve than this share of it is told.
FAR = 0.10
#: A start must be inside of the bounds, and have a size.
TINY = 1e-12
#: Where the fit starts from: the best of these is taken, as one may end in a valley of its own.
STARTS = tuple(itertools.product((1.0, 20.0), (1e-3, 0.5), (1e-6, 1e-4)))


class Parameter(NamedTuple):
    """A value and its interval; an infinite one says that the data can't tell."""

    value: float
    low: float
    high: float

    @property
    def is_told(self) -> bool:
        """Is it other than 0, as far as the data go?"""
        return math.isfinite(self.high) and self.low > 0


class Fit(NamedTuple):
    """A fitted law."""

    rate: Parameter
    contention: Parameter
    coherence: Parameter
    #: Of the three, for draws from them; infinite where it could not be estimated.
    covariance: Any
    #: (measured - fitted) / fitted, for every point.
    residuals: list[float]
    #: What the data can't tell, in words.
    doubts: list[str]

    @property
    def values(self) -> tuple[float, float, float]:
        return self.rate.value, self.contention.value, self.coherence.value

    def at(self, places: float) -> float:
        """Jobs a second."""
        return float(law(places, *self.values))

    @property
    def peak(self) -> float | None:
        """The number of places with the most throughput, if the data say that there is one."""
        if not self.coherence.is_told or self.contention.value >= 1:
            return None
        return math.sqrt((1 - self.contention.value) / self.coherence.value)


def law(places: Any, rate: float, contention: float, coherence: float) -> Any:
    """Jobs a second of so many places; numbers or arrays."""
    return rate * places / (1 + contention * (places - 1) + coherence * places * (places - 1))


def fit(places: Sequence[float], rates: Sequence[float]) -> Fit:
    """Least squares, each point weighted by the size of the curve there: errors are a share of it.

    Raises BenchError where there are too few points for three parameters and their errors.
    """
    if len(set(places)) <= len(NAMES):
        raise BenchError(f"{len(set(places))} numbers of places are too few: give 4 or more")
    xs, ys = np.asarray(places, float), np.asarray(rates, float)
    best = min(_tries(xs, ys), key=lambda values: _misfit(xs, ys, values))
    # By the points' own sizes, those that came out small by chance have weighed more.
    values, covariance = _try(xs, ys, law(xs, *best), np.maximum(best, TINY))
    rate, contention, coherence = _intervals(values, covariance, len(xs) - len(NAMES))
    fitted = law(xs, *values)
    residuals = [float(each) for each in (ys - fitted) / fitted]
    doubts = _doubts(rate, contention, coherence, residuals)
    return Fit(rate, contention, coherence, covariance, residuals, doubts)


def _tries(xs: Any, ys: Any) -> list[Any]:
    found: list[Any] = []
    single = float(np.max(ys / xs))
    for share, contention, coherence in STARTS:
        try:
            with np.errstate(all="ignore"):
                found.append(_try(xs, ys, ys, (single * share, contention, coherence))[0])
        except (RuntimeError, OptimizeWarning):
            continue  # this start leads nowhere
    if not found:
        raise BenchError("no curve could be fitted to these points")
    return found


def _try(xs: Any, ys: Any, sizes: Any, start: Any) -> tuple[Any, Any]:
    values, covariance = curve_fit(
        law, xs, ys, p0=start, sigma=sizes, bounds=(0, np.inf), x_scale=start, max_nfev=5000
    )
    return values, covariance


def _misfit(xs: Any, ys: Any, values: Any) -> float:
    fitted = law(xs, *values)
    return float(np.sum(((ys - fitted) / fitted) ** 2))


def _intervals(values: Any, covariance: Any, freedom: int) -> list[Parameter]:
    quantile = float(student.ppf((1 + CONFIDENCE) / 2, freedom))
    found = []
    for value, variance in zip(values, np.diag(covariance), strict=True):
        half = quantile * math.sqrt(variance) if np.isfinite(variance) else math.inf
        found.append(Parameter(float(value), float(value) - half, float(value) + half))
    return found


def _doubts(
    rate: Parameter, contention: Parameter, coherence: Parameter, residuals: list[float]
) -> list[str]:
    doubts = []
    if not rate.is_told:
        doubts.append("what one place does can't be told: it is saturated from the first point on")
    if not contention.is_told:
        doubts.append("contention can't be told from none")
    if not coherence.is_told:
        doubts.append("coherence can't be told from none, so no peak is foretold")
    if (worst := max(map(abs, residuals))) > FAR:
        doubts.append(f"a point is {worst:.0%} off the curve: the law is a rough one here")
    return doubts
