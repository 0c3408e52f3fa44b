"""A run as text on the terminal, and as docs/benchmarks.md with its plots."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..tables import as_markdown, as_text
from . import bars, plots, readme, tables
from .bar_list import BARS
from .http_bars import HTTP_BARS
from .results import joined, read
from .results import write as write_lines
from .workloads import GROUPS, WORKLOADS

if TYPE_CHECKING:
    from ..tables import Table
    from .results import Results, Run

DOCS = Path(__file__).parents[2] / "docs"
#: The pages with their raw results: of `make bench`, `make bench-long`, `make bench ONLY=http`.
SHORT, LONG, HTTP = "benchmarks", "benchmarks-long", "benchmarks-http"
README = "README.md"
READING = Path(__file__).with_name("reading.md")
READING_HTTP = Path(__file__).with_name("reading-http.md")


def text(results: Results, docs: Path = DOCS) -> str:
    """What is printed at the end."""
    parts = ["\n".join(f"{name:<12}{value}" for name, value in _about(results.runs[-1]))]
    for workload in _measured(results):
        parts.append(as_text(tables.of_workload(results, workload)))
        parts += tables.notes(results, workload)
    judged = _judged(results, docs)
    parts += [as_text(judged), *bars.notes(judged), as_text(tables.systems(results))]
    return "\n\n".join(parts)


def write(file: Path, docs: Path = DOCS) -> list[str]:
    """The page, the plots, the raw results; their names. Raises BenchError without matplotlib.

    What takes hours may be measured piece by piece: its page has the latest of each workload.
    """
    results = read(file)
    page_file, raw = (docs / f"{_stem(results)}{suffix}" for suffix in (".md", ".jsonl"))
    if _stem(results) == LONG and raw.exists() and file != raw:
        results = joined(read(raw), results)
    drawn = [plots.draw(results, workload, docs) for workload in _measured(results)]
    page_file.write_text(page(results, docs) + "\n")
    if file != raw:
        write_lines(raw, results)
    if _stem(results) == SHORT:
        readme.update(docs.parent / README, results)
        drawn.append(README)
    return [page_file.name, raw.name, *drawn]


def page(results: Results, docs: Path = DOCS) -> str:
    """In Markdown; made by the command, never by hand."""
    raw = f"{_stem(results)}.jsonl"
    commands = dict.fromkeys(f"`{run.about.command}`" for run in results.runs)
    parts = [
        "# wsup and its peers",
        f"Written by {', '.join(commands)} from [{raw}]({raw}); don't edit.",
    ]
    judged = _judged(results, docs)
    parts += [as_markdown(judged), *bars.notes(judged), *_borrowed(results, docs)]
    for workload in _measured(results):
        table, *rest = as_markdown(tables.of_workload(results, workload)), _plot(workload)
        parts += [table, *rest, *(f"- {note}" for note in tables.notes(results, workload))]
    if _stem(results) == SHORT and (docs / f"{HTTP}.jsonl").exists():
        served = read(docs / f"{HTTP}.jsonl")
        for workload in _measured(served):
            parts += [as_markdown(tables.of_workload(served, workload)), _plot(workload)]
    parts += [as_markdown(tables.systems(results)), as_markdown(tables.settings(results))]
    reading = READING_HTTP if _stem(results) == HTTP else READING
    parts += ["## Measured on", *(_machine(run) for run in results.runs)]
    parts.append(reading.read_text().strip())
    return "\n\n".join(parts)


def _stem(results: Results) -> str:
    """The name of its page."""
    measured = _measured(results)
    if measured and set(measured) <= set(GROUPS["http"]):
        return HTTP
    return LONG if any(WORKLOADS[name].long for name in measured) else SHORT


def _judged(results: Results, docs: Path) -> Table:
    """Of a run over HTTP, its own bars alone."""
    chosen = HTTP_BARS if _stem(results) == HTTP else BARS
    return bars.table(_runs(results, docs), bars=chosen)


def _runs(results: Results, docs: Path) -> list[Results]:
    """This one, and the latest of other kinds, for the bars that this one has no figures for."""
    return [results, *(read(file) for file in _other(results, docs))]


def _other(results: Results, docs: Path) -> list[Path]:
    own = _stem(results)
    others = [docs / f"{stem}.jsonl" for stem in (SHORT, LONG, HTTP) if stem != own]
    return [] if own == HTTP else [file for file in others if file.exists()]


def _borrowed(results: Results, docs: Path) -> list[str]:
    """Which pages have the figures of other runs."""
    files = _other(results, docs)
    told = [f"[{file.stem}.md]({file.stem}.md), of {read(file).about.date}" for file in files]
    if not told:
        return []
    return [f"Where this run has no figure, the bar is measured in {', or in '.join(told)}."]


def _plot(workload: str) -> str:
    return f"![{WORKLOADS[workload].title}]({plots.name(workload)})"


def _measured(results: Results) -> list[str]:
    there = {one.workload for one in results.measured}
    return [name for name in WORKLOADS if name in there]


def _machine(run: Run) -> str:
    rows = "\n".join(f"| {name} | {value} |" for name, value in _about(run))
    return f"| | |\n| --- | --- |\n{rows}"


def _about(run: Run) -> list[tuple[str, str]]:
    about = run.about
    there = {measured.workload for measured in run.measured}
    titles = ", ".join(name for name in WORKLOADS if name in there)
    named = [("date", about.date), ("command", about.command), ("workloads", titles)]
    return [*about.machine, *named]
