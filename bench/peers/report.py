"""A run as text on the terminal, and as docs/peers.md with its plots."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ..tables import as_markdown, as_text
from . import plots, tables
from .results import read
from .workloads import WORKLOADS

if TYPE_CHECKING:
    from .results import Results

DOCS = Path(__file__).parents[2] / "docs"
PAGE = "peers.md"
RAW = "peers.jsonl"
READING = Path(__file__).with_name("reading.md")


def text(results: Results) -> str:
    """What is printed at the end."""
    parts = ["\n".join(f"{name:<12}{value}" for name, value in _about(results))]
    for workload in _measured(results):
        parts.append(as_text(tables.of_workload(results, workload)))
        parts += tables.notes(results, workload)
    return "\n\n".join([*parts, as_text(tables.systems(results))])


def write(file: Path, docs: Path = DOCS) -> list[str]:
    """The page, the plots, the raw results; their names. Raises BenchError without matplotlib."""
    results = read(file)
    drawn = [plots.draw(results, workload, docs) for workload in _measured(results)]
    (docs / PAGE).write_text(page(results) + "\n")
    if file != docs / RAW:
        shutil.copyfile(file, docs / RAW)
    return [PAGE, RAW, *drawn]


def page(results: Results) -> str:
    """In Markdown; made by the command, never by hand."""
    about = "\n".join(f"| {name} | {value} |" for name, value in _about(results))
    parts = [
        "# wsup and its peers",
        f"Written by `{results.about.command}` from [{RAW}]({RAW}); don't edit.",
    ]
    for workload in _measured(results):
        table, *rest = as_markdown(tables.of_workload(results, workload)), _plot(workload)
        parts += [table, *rest, *(f"- {note}" for note in tables.notes(results, workload))]
    parts += [as_markdown(tables.systems(results)), as_markdown(tables.settings(results))]
    parts += [f"## Measured on\n\n| | |\n| --- | --- |\n{about}", READING.read_text().strip()]
    return "\n\n".join(parts)


def _plot(workload: str) -> str:
    return f"![{WORKLOADS[workload].title}]({plots.name(workload)})"


def _measured(results: Results) -> list[str]:
    there = {one.workload for one in results.measured}
    return [name for name in WORKLOADS if name in there]


def _about(results: Results) -> list[tuple[str, str]]:
    about = results.about
    return [*about.machine, ("date", about.date), ("command", about.command)]
