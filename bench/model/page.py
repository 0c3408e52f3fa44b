"""The model's page: what was measured, what was fitted, and from where on the batch wins."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from ..tables import Table, as_markdown, as_text
from . import windmill
from .crossing import MARGIN, MOST, crossing_of
from .law import NAMES

if TYPE_CHECKING:
    from .crossing import Crossing
    from .law import Parameter
    from .study import Curve, Study

READING = Path(__file__).with_name("reading.md")


def text(studies: list[Study]) -> str:
    """For a terminal."""
    parts = [as_text(measured(studies)), as_text(fitted(studies)), as_text(windmills())]
    return "\n\n".join([*parts, *sentences(studies)])


def page(studies: list[Study], plots: dict[int, str], command: str, sources: list[str]) -> str:
    """In Markdown."""
    links = " and ".join(f"[{source}]({source})" for source in sources)
    parts = [
        "# How throughput grows with subworkers",
        f"Written by `{command}` from {links}; don't edit.",
        "\n".join(f"- {sentence}" for sentence in sentences(studies)),
        *(f"![jobs of {pause} ms]({name})" for pause, name in plots.items()),
        as_markdown(measured(studies)),
        as_markdown(fitted(studies)),
        as_markdown(windmills()),
        READING.read_text().strip(),
    ]
    return "\n\n".join(parts)


def measured(studies: list[Study]) -> Table:
    rows: list[tuple[str, ...]] = []
    for study in studies:
        three = [_medians(each) for each in (study.batch, study.single, study.served)]
        for places in sorted(set().union(*three)):
            ours, theirs, served = (each.get(places) for each in three)
            ratio = f"{ours / theirs:.2f}" if ours and theirs else ""
            numbers = ["" if each is None else f"{each:,.0f}" for each in (ours, theirs, served)]
            rows.append((f"{study.pause} ms", f"{places:.0f}", *numbers[:2], ratio, numbers[2]))
    head = ("jobs of", "subworkers", "wsup", "one by one", "ratio", "wsup, over HTTP")
    return Table("Measured, jobs/s", head, rows)


def fitted(studies: list[Study]) -> Table:
    rows: list[tuple[str, ...]] = []
    for study in studies:
        for curve in study.curves:
            fit = curve.fit
            three = [_interval(each) for each in (fit.rate, fit.contention, fit.coherence)]
            worst = max(map(abs, fit.residuals))
            squares = math.sqrt(sum(each**2 for each in fit.residuals) / len(fit.residuals))
            peak = f"{fit.peak:,.0f}" if fit.peak else ""
            first = (f"{study.pause} ms", curve.system)
            rows.append((*first, *three, f"{squares:.1%}", f"{worst:.1%}", peak))
    head = ("jobs of", "system", *NAMES, "residuals, rms", "the largest", "peak at")
    return Table("Fitted, with 95 % confidence", head, rows)


def sentences(studies: list[Study]) -> list[str]:
    """What it comes to."""
    said = []
    for study in studies:
        for curve, crossing in study.crossings:
            over = ", over HTTP" if curve is study.served else ""
            said.append(f"Jobs of {study.pause} ms{over}: {_said(crossing, max(curve.places))}.")
        for curve in study.curves:
            said += [f"{study.pause} ms, {curve.system}: {doubt}." for doubt in curve.fit.doubts]
    theirs = crossing_of(windmill.batched, windmill.one_by_one)
    most = max(places for places, _, _ in windmill.MEASURED)
    return [*said, f"Windmill, by its own formulas: {_where(theirs.places, most)}."]


def windmills() -> Table:
    rows: list[tuple[str, ...]] = [
        (str(places), f"{batch:,}", f"{single:,}", f"{batch / single:.2f}")
        for places, batch, single in windmill.MEASURED
    ]
    for places in (1, 64, 160):
        batch, single = windmill.batched(places), windmill.one_by_one(places)
        numbers = (f"{batch:,.0f}", f"{single:,.0f}", f"{batch / single:.2f}")
        rows.append((f"{places}, by its formulas", *numbers))
    return Table("Windmill's own, jobs/s", ("workers", "batched", "one by one", "ratio"), rows)


def _said(found: Crossing, most: float) -> str:
    where = _where(found.places, most)
    if found.low is None or found.high is None:
        return f"{where}; the data can't tell how sure that is"
    return f"{where} (95 %: {found.low} to {found.high})"


def _where(places: int | None, most: float) -> str:
    margin = f"{MARGIN - 1:.0%}"
    if places is None:
        return f"the batch does not win by {margin} for good, up to {MOST} subworkers"
    beyond = ", which is extrapolated" if places > most else ""
    return f"the batch wins by {margin} from {places} subworkers on{beyond}"


def _medians(curve: Curve | None) -> dict[float, float]:
    several: dict[float, list[float]] = {}
    if curve is None:
        return {}
    for places, rate in zip(curve.places, curve.rates, strict=True):
        several.setdefault(places, []).append(rate)
    return {places: median(rates) for places, rates in several.items()}


def _interval(each: Parameter) -> str:
    if not math.isfinite(each.high):
        return f"{each.value:,.4g} (can't be told)"
    return f"{each.value:,.4g} ({max(0.0, each.low):,.3g} to {each.high:,.3g})"
