"""The tables of a run, one for each workload, and those of what was run how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..figures import Spread, spread
from ..tables import Table
from . import agents, courses
from .workloads import WORKLOADS

if TYPE_CHECKING:
    from .results import Measured, Results


class Line(NamedTuple):
    """All rounds of one system in one workload."""

    system: str
    jobs: int
    #: By name; none of a round that failed.
    figures: dict[str, list[float]]
    errors: list[str]
    others: float

    def spread(self, figure: str) -> Spread | None:
        values = self.figures.get(figure)
        return spread(values) if values else None


def lines(results: Results, workload: str) -> list[Line]:
    """The best first; then those without a figure."""
    of_systems: dict[str, list[Measured]] = {}
    for measured in results.measured:
        if measured.workload == workload:
            of_systems.setdefault(measured.system, []).append(measured)
    found = [_line(system, measured) for system, measured in of_systems.items()]
    chosen = WORKLOADS[workload]
    sign = -1 if chosen.more_is_better else 1

    def place(line: Line) -> tuple[bool, float]:
        value = line.spread(chosen.figure)
        return value is None, sign * value.median if value else 0

    return sorted(found, key=place)


def _line(system: str, measured: list[Measured]) -> Line:
    figures: dict[str, list[float]] = {}
    for one in measured:
        for name, value in one.figures.items():
            figures.setdefault(name, []).append(value)
    errors = [one.error for one in measured if one.error is not None]
    return Line(system, measured[0].jobs, figures, errors, max(one.others for one in measured))


def of_workload(results: Results, workload: str) -> Table:
    if workload == agents.NAME:
        return courses.table(results)
    chosen = WORKLOADS[workload]
    found = [line for line in lines(results, workload) if line.figures]
    heads = [head for head, _, _ in chosen.columns]
    rows = [_row(line, workload, found) for line in found]
    first = ("system", "jobs", f"{chosen.figure}, {chosen.unit}", "range", "wsup = 1")
    return Table(chosen.title, (*first, *heads, "others"), rows)


def _row(line: Line, workload: str, all_lines: list[Line]) -> tuple[str, ...]:
    chosen = WORKLOADS[workload]
    main = line.spread(chosen.figure)
    assert main is not None
    form = chosen.form
    ours = next((one.spread(chosen.figure) for one in all_lines if one.system == "wsup"), None)
    ratio = f"{main.median / ours.median:.2f}" if ours and ours.median else ""
    others = [_cell(line.spread(figure), each) for _, figure, each in chosen.columns]
    scope = f"{main.low:{form}} to {main.high:{form}}" if main.size > 1 else ""
    first = (line.system, f"{line.jobs:,}", f"{main.median:{form}}", scope, ratio)
    return (*first, *others, f"{line.others:.0f} %")


def _cell(value: Spread | None, form: str) -> str:
    return "" if value is None else f"{value.median:{form}}"


def notes(results: Results, workload: str) -> list[str]:
    """What went wrong, or can't be done."""
    return [
        f"{line.system}: {error.strip().splitlines()[-1]}"
        for line in lines(results, workload)
        for error in dict.fromkeys(line.errors)
    ]


def systems(results: Results) -> Table:
    """What was run."""
    found = {one.system: one for one in results.measured}
    rows: list[tuple[str, ...]] = [
        (one.system, one.version, _yes(one.keeps_results), _yes(one.isolates))
        for one in found.values()
    ]
    rows += [(name, "not installed", "", why) for name, why in results.about.missing.items()]
    return Table("Systems", ("system", "version", "keeps results", "jobs isolated"), rows)


def settings(results: Results) -> Table:
    """With which settings, and where these are recommended."""
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for one in results.measured:
        key = (one.system, _options(one.settings), one.why, one.source)
        names = rows.setdefault(key, [])
        if one.workload not in names:
            names.append(one.workload)
    table: list[tuple[str, ...]] = [
        (system, ", ".join(names), options, why, source)
        for (system, options, why, source), names in rows.items()
    ]
    return Table("Settings", ("system", "workloads", "settings", "why", "source"), table)


def _options(options: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in options.items())


def _yes(value: bool) -> str:
    return "yes" if value else "no"
