"""One plot for each workload: a bar for each system, as long as its median, and its range.

Where the rate has a course, over time or with more and more places, there is a line for each.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ..errors import BenchError
from . import agents, courses
from .tables import Line, lines
from .workloads import WORKLOADS

if TYPE_CHECKING:
    from pathlib import Path

    from .results import Results

OURS, THEIRS = "#1f6f8b", "#b8c4c9"
#: Inches; SVG scales.
WIDTH, HEIGHT_OF_BAR, HEIGHT_BESIDES = 7.0, 0.32, 0.9
HEIGHT_OF_COURSE = 3.2


def name(workload: str) -> str:
    """The file, in docs/."""
    return f"benchmarks-{workload}.svg"


def draw(results: Results, workload: str, folder: Path) -> str:
    """Raises BenchError without matplotlib."""
    plot = pyplot()
    chosen = WORKLOADS[workload]
    if workload == agents.NAME:
        return _save(plot, courses.draw(plot, results), workload, folder)
    if any(one.series for one in results.measured if one.workload == workload):
        return _draw_course(plot, results, workload, folder)
    found = [line for line in lines(results, workload) if line.figures]
    figure, axes = plot.subplots(figsize=(WIDTH, HEIGHT_BESIDES + HEIGHT_OF_BAR * len(found)))
    for line in found:
        _bar(axes, line, chosen.figure, chosen.form)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.margins(x=0.15)
    axes.set_title(f"{chosen.title}: {chosen.figure}, {chosen.unit}", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return _save(plot, figure, workload, folder)


def _draw_course(plot: Any, results: Results, workload: str, folder: Path) -> str:
    """A line for each round of each system: its rate in window after window, or place by place."""
    chosen = WORKLOADS[workload]
    figure, axes = plot.subplots(figsize=(WIDTH, HEIGHT_OF_COURSE))
    systems = list(dict.fromkeys(one.system for one in results.measured))
    for one in results.measured:
        if one.workload == workload and "rates" in one.series:
            rates = one.series["rates"]
            over = one.series.get("places", [float(number) for number in range(1, len(rates) + 1)])
            colour = OURS if one.system == "wsup" else f"C{1 + systems.index(one.system)}"
            label = one.system if one.round == 1 else None
            axes.plot(over, rates, ".-", color=colour, linewidth=1, markersize=3, label=label)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("subworkers" if chosen.systems else "windows")
    axes.set_title(f"{chosen.title}: jobs/s", loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return _save(plot, figure, workload, folder)


def _save(plot: Any, figure: Any, workload: str, folder: Path) -> str:
    figure.tight_layout()
    # The same results give the same file.
    figure.savefig(folder / name(workload), metadata={"Date": None})
    plot.close(figure)
    return name(workload)


def _bar(axes: Any, line: Line, figure: str, form: str) -> None:
    value = line.spread(figure)
    assert value is not None
    reach = [[value.median - value.low], [value.high - value.median]]
    colour = OURS if line.system == "wsup" else THEIRS
    axes.barh([line.system], [value.median], xerr=reach, color=colour, ecolor="#555555", capsize=2)
    axes.annotate(
        f"{value.median:{form}}", (value.high, line.system),
        xytext=(4, 0), textcoords="offset points", va="center", fontsize=8,
    )  # fmt: skip


def pyplot() -> Any:
    """matplotlib, ready to write SVG. Raises BenchError if it isn't installed."""
    try:
        import matplotlib as mpl
    except ImportError:
        raise BenchError("plots need matplotlib: pip install -e '.[bench]'") from None
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "wsup"
    mpl.rcParams["svg.fonttype"] = "none"
    return importlib.import_module("matplotlib.pyplot")
