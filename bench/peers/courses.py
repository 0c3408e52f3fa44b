"""Supervisors over one server, and as many that ask the database: a table, and a plot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..tables import Table
from .agents import DIRECT, KINDS, NAME, SERVED
from .book import Book

if TYPE_CHECKING:
    from .results import Results

#: What stands in the table: the head, the series, and the form of its numbers.
COLUMNS = (
    ("jobs/s", "rate", ",.0f"),
    ("connections", "connections", ".0f"),
    ("statements per 1,000", "statements", ",.1f"),
    ("transactions per 1,000", "transactions", ",.1f"),
    ("CPU ms per 1,000: database", "database", ",.1f"),
    ("server", "server", ",.1f"),
    ("agents", "agents", ",.1f"),
)
#: What is drawn, below each other; and in which colours.
DRAWN = (("rate", "jobs/s"), ("database", "database,\nCPU ms per 1,000"))
COLOURS = {SERVED: "#1f6f8b", DIRECT: "#a0522d"}
INCHES = (9.0, 4.6)


def table(results: Results) -> Table:
    """Medians: a row for each kind of jobs, number of agents, and system."""
    book, rows = Book(results), list[tuple[str, ...]]()
    systems = _systems(results)
    for kind, one in KINDS.items() if systems else ():
        for i, agents in enumerate(book.series(NAME, "agents", systems[0])):
            for system in systems:
                cells = [
                    format(book.series(NAME, f"{kind}_{name}", system)[i], form)
                    for _, name, form in COLUMNS
                ]
                rows.append((one.title, f"{agents:.0f}", system, *cells, _others(results, system)))
    heads = ("jobs", "agents", "system", *(head for head, _, _ in COLUMNS), "others")
    return Table("Over one server, and directly", heads, rows)


def draw(plot: Any, results: Results) -> Any:
    """A figure: each round's points, and their medians as a line."""
    book = Book(results)
    figure, axes = plot.subplots(len(DRAWN), len(KINDS), figsize=INCHES, sharex=True)
    for column, (kind, one) in enumerate(KINDS.items()):
        axes[0][column].set_title(f"jobs: {one.title}", loc="left", fontsize=9)
        axes[-1][column].set_xlabel("supervisors of 8 subworkers", fontsize=8)
        for row, (name, label) in enumerate(DRAWN):
            panel = axes[row][column]
            for number, system in enumerate(_systems(results)):
                colour = COLOURS.get(system, f"C{number}")
                over = book.series(NAME, "agents", system)
                for points in _rounds(results, system, f"{kind}_{name}"):
                    panel.plot(over, points, ".", color=colour, markersize=3)
                middle = book.series(NAME, f"{kind}_{name}", system)
                panel.plot(over, middle, "-", color=colour, linewidth=1.2, label=system)
            panel.set_ylim(bottom=0)
            panel.tick_params(labelsize=7)
            panel.spines[["top", "right"]].set_visible(False)
            if not column:
                panel.set_ylabel(label, fontsize=8)
    axes[0][0].legend(frameon=False, fontsize=7)
    return figure


def _systems(results: Results) -> list[str]:
    """Those that have figures."""
    found = [one.system for one in results.measured if one.workload == NAME and one.series]
    return list(dict.fromkeys(found))


def _others(results: Results, system: str) -> str:
    """The most that other programs took of the machine's CPU during a round."""
    measured = [one for one in results.measured if (one.workload, one.system) == (NAME, system)]
    return f"{max(one.others for one in measured):.0f} %"


def _rounds(results: Results, system: str, name: str) -> list[list[float]]:
    return [
        one.series[name]
        for one in results.measured
        if (one.workload, one.system) == (NAME, system) and name in one.series
    ]
