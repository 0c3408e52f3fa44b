"""The bars: what wsup sets out to reach beside its peers, as a table with a row for each.

A run that lacks a workload or a system says so in its row. Why a bar is missed, a human writes into
why.toml, under the bar's name.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ..errors import BenchError
from ..tables import Table
from .bar_list import BARS
from .book import Book, NotMeasured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .bar import Bar
    from .results import Results

WHY = Path(__file__).with_name("why.toml")
UNSAID = "not told yet"


class Verdict(NamedTuple):
    """What a run says of a bar."""

    measured: str
    #: "yes", "NO" or "not measured".
    met: str
    #: Why it isn't.
    why: str


def table(several: Sequence[Results], why: Path = WHY, bars: Sequence[Bar] = BARS) -> Table:
    """Every bar, by the first of these runs that has what it needs."""
    reasons = read_reasons(why)
    rows: list[tuple[str, ...]] = []
    for bar in bars:
        verdict = judge(bar, several, reasons.get(bar.name, ""))
        rows.append((bar.name, bar.what, bar.bound_text, *verdict))
    return Table("Bars", ("bar", "what", "bound", "measured", "met", "why not"), rows)


def notes(bars: Table, why: Path = WHY) -> list[str]:
    """What why.toml should say, and what it needn't any more."""
    verdicts = {row[0]: row[-2:] for row in bars.rows}
    unsaid = [name for name, (_, reason) in verdicts.items() if reason == UNSAID]
    stale = [name for name in read_reasons(why) if verdicts.get(name, ("",))[0] == "yes"]
    found = {
        "Not met, and why.toml doesn't say why": unsaid,
        "Met, so that why.toml needs no reason any more": stale,
    }
    return [f"{what}: {', '.join(names)}." for what, names in found.items() if names]


def judge(bar: Bar, several: Sequence[Results], reason: str) -> Verdict:
    """One bar; no two runs are mixed in it."""
    missing: list[str] = []
    for results in several:
        try:
            said = bar.measured(Book(results))
        except NotMeasured as error:
            missing.append(str(error))
        else:
            text = f"{said.value:{bar.form}}" + (f" ({said.beside})" if said.beside else "")
            if bar.is_met(said.value):
                return Verdict(text, "yes", "")
            return Verdict(text, "NO", reason or UNSAID)
    return Verdict("", "not measured", reason or (missing[0] if missing else ""))


def read_reasons(why: Path) -> dict[str, str]:
    """By the name of the bar. Raises BenchError for a bar that there is not."""
    try:
        reasons = msgspec.toml.decode(why.read_bytes(), type=dict[str, str])
    except (msgspec.DecodeError, OSError) as error:
        raise BenchError(f"{why}: {error}") from None
    if unknown := set(reasons) - {bar.name for bar in BARS}:
        raise BenchError(f"{why}: no bar {', '.join(sorted(unknown))}: see the table of bars")
    return reasons
