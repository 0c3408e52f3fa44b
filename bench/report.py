"""A run as text on the terminal, and as docs/floor.md."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from . import tables

if TYPE_CHECKING:
    from .figures import Figures
    from .plan import Plan

PAGE = Path(__file__).parents[1] / "docs" / "floor.md"
READING = Path(__file__).with_name("reading.md")


class Run(NamedTuple):
    """A finished run."""

    command: str
    plan: Plan
    figures: Figures
    #: Name and value, line by line.
    machine: list[tuple[str, str]]
    seconds: float


def text(run: Run) -> str:
    """What is printed at the end."""
    about = [f"{name:<12}{value}" for name, value in _about(run)]
    return "\n\n".join(
        [
            "\n".join(about),
            tables.as_text(tables.measurements(run.figures, run.plan)),
            tables.as_text(tables.bars(run.figures)),
            verdict(run),
        ]
    )


def verdict(run: Run) -> str:
    """Whether every bar was met; a measurement, no test."""
    missed = tables.missed(run.figures)
    said = f"MISSED: {', '.join(missed)}" if missed else "Every bar is met."
    if not run.plan.is_full:
        said += "\nThis run is smaller than the one that the bars are meant for."
    return said


def page(run: Run) -> str:
    """docs/floor.md: made by --write, never by hand."""
    about = "\n".join(f"| {name} | {value} |" for name, value in _about(run))
    return "\n\n".join(
        [
            "# wsup beside the speed of PostgreSQL",
            f"Written by `{run.command}`; don't edit. `make bench-floor` measures without writing.",
            tables.as_markdown(tables.bars(run.figures)),
            verdict(run),
            tables.as_markdown(tables.measurements(run.figures, run.plan)),
            f"## Measured on\n\n| | |\n| --- | --- |\n{about}",
            READING.read_text().strip(),
        ]
    )


def write(run: Run) -> None:
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(run) + "\n")


def _about(run: Run) -> list[tuple[str, str]]:
    return [
        *run.machine,
        ("date", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("command", f"{run.command}, {run.plan.rounds} rounds in {run.seconds:.0f} s"),
    ]
