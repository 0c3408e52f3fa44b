"""A run as text on the terminal, and as docs/benchmarks.md with its plots."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ..tables import as_markdown, as_text
from . import bars, plots, readme, tables
from .results import read
from .workloads import WORKLOADS

if TYPE_CHECKING:
    from .results import Results

DOCS = Path(__file__).parents[2] / "docs"
#: The pages with their raw results: of `make bench`, and of `make bench-long`.
SHORT, LONG = "benchmarks", "benchmarks-long"
README = "README.md"
READING = Path(__file__).with_name("reading.md")


def text(results: Results, docs: Path = DOCS) -> str:
    """What is printed at the end."""
    parts = ["\n".join(f"{name:<12}{value}" for name, value in _about(results))]
    for workload in _measured(results):
        parts.append(as_text(tables.of_workload(results, workload)))
        parts += tables.notes(results, workload)
    judged = bars.table(_runs(results, docs))
    parts += [as_text(judged), *bars.notes(judged), as_text(tables.systems(results))]
    return "\n\n".join(parts)


def write(file: Path, docs: Path = DOCS) -> list[str]:
    """The page, the plots, the raw results; their names. Raises BenchError without matplotlib."""
    results = read(file)
    page_file, raw = (docs / f"{_stem(results)}{suffix}" for suffix in (".md", ".jsonl"))
    drawn = [plots.draw(results, workload, docs) for workload in _measured(results)]
    page_file.write_text(page(results, docs) + "\n")
    if file != raw:
        shutil.copyfile(file, raw)
    if _stem(results) == SHORT:
        readme.update(docs.parent / README, results)
        drawn.append(README)
    return [page_file.name, raw.name, *drawn]


def page(results: Results, docs: Path = DOCS) -> str:
    """In Markdown; made by the command, never by hand."""
    raw = f"{_stem(results)}.jsonl"
    about = "\n".join(f"| {name} | {value} |" for name, value in _about(results))
    parts = [
        "# wsup and its peers",
        f"Written by `{results.about.command}` from [{raw}]({raw}); don't edit.",
    ]
    judged = bars.table(_runs(results, docs))
    parts += [as_markdown(judged), *bars.notes(judged), *_borrowed(results, docs)]
    for workload in _measured(results):
        table, *rest = as_markdown(tables.of_workload(results, workload)), _plot(workload)
        parts += [table, *rest, *(f"- {note}" for note in tables.notes(results, workload))]
    parts += [as_markdown(tables.systems(results)), as_markdown(tables.settings(results))]
    parts += [f"## Measured on\n\n| | |\n| --- | --- |\n{about}", READING.read_text().strip()]
    return "\n\n".join(parts)


def _stem(results: Results) -> str:
    """The name of its page."""
    return LONG if any(WORKLOADS[name].long for name in _measured(results)) else SHORT


def _runs(results: Results, docs: Path) -> list[Results]:
    """This one, and the latest of the other kind, for the bars that this one has no figures for."""
    return [results, *(read(file) for file in _other(results, docs))]


def _other(results: Results, docs: Path) -> list[Path]:
    file = docs / f"{SHORT if _stem(results) == LONG else LONG}.jsonl"
    return [file] if file.exists() else []


def _borrowed(results: Results, docs: Path) -> list[str]:
    return [
        f"Where this run has no figure, the bar is measured in [{file.name}]({file.name}), "
        f"of {read(file).about.date}."
        for file in _other(results, docs)
    ]


def _plot(workload: str) -> str:
    return f"![{WORKLOADS[workload].title}]({plots.name(workload)})"


def _measured(results: Results) -> list[str]:
    there = {one.workload for one in results.measured}
    return [name for name in WORKLOADS if name in there]


def _about(results: Results) -> list[tuple[str, str]]:
    about = results.about
    return [*about.machine, ("date", about.date), ("command", about.command)]
