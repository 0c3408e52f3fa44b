"""README's table of comparison: a few figures of each peer, out of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..tables import Table, as_markdown
from .tables import lines

if TYPE_CHECKING:
    from pathlib import Path

    from .results import Measured, Results
    from .tables import Line

BEGIN, END = "<!-- made by make bench: -->\n", "<!-- end -->"
#: The head, the workload, its figure, and the form of its numbers.
COLUMNS = (
    ("no-op, jobs/s", "noop", "rate", ",.0f"),
    ("1 ms of CPU, jobs/s", "cpu", "rate", ",.0f"),
    ("50 ms async, jobs/s", "async", "rate", ",.0f"),
    ("sleeping, places filled", "sleep", "filled", ".1%"),
    ("idle latency, ms", "latency", "p50", ".1f"),
    ("p99 at 1,000/s, ms", "steady", "p99", ".1f"),
)


def comparison(results: Results) -> str:
    """Medians in Markdown, the fastest system first, yardsticks left out."""
    by_name = {
        workload: {line.system: line for line in lines(results, workload)}
        for _, workload, _, _ in COLUMNS
    }
    systems = {one.system: one for one in results.measured if not one.yardstick}
    order = [name for name in by_name["noop"] if name in systems]
    rows = [_row(systems[name], by_name) for name in order]
    head = ("system", *(column[0] for column in COLUMNS), "results kept", "jobs isolated")
    return as_markdown(Table("", head, rows)).partition("\n\n")[2]


def update(readme: Path, results: Results) -> None:
    """Put it in its place."""
    before, _, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    readme.write_text(f"{before}{BEGIN}{comparison(results)}\n{end}{after}")


def _row(system: Measured, by_name: dict[str, dict[str, Line]]) -> tuple[str, ...]:
    cells = [system.system]
    for _, workload, figure, form in COLUMNS:
        line = by_name[workload].get(system.system)
        value = line.spread(figure) if line else None
        cells.append(format(value.median, form) if value else "")
    yes = {True: "yes", False: ""}
    return (*cells, yes[system.keeps_results], yes[system.isolates])
