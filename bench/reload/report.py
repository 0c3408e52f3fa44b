"""What the reloads have cost: a table for the terminal and docs/reliability.md."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from .. import block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .measure import Measured

#: The least that the worst second may have of the median one, while reloads go on.
BAR = 0.60


def ratio(seconds: Sequence[int]) -> float:
    """The worst second by the median one."""
    middle = median(seconds)
    return min(seconds) / middle if middle else 0.0


def rows(run: Measured) -> list[tuple[str, str]]:
    """Name and value, line by line."""
    quiet, busy, counts = run.undisturbed, run.reloading, run.counts
    otherwise, reloading = run.others
    across = min(busy) / median(quiet) if median(quiet) else 0.0
    return [
        ("reloads, one after the other", f"{len(run.reloads)}"),
        ("a reload, median (longest), s", f"{median(run.reloads):.2f} ({max(run.reloads):.2f})"),
        ("while reloading: whole seconds", f"{len(busy)}"),
        ("while reloading: jobs in the median second", f"{median(busy):,.0f}"),
        ("while reloading: jobs in the worst second", f"{min(busy):,}"),
        (f"while reloading: worst / median (bar: ≥ {BAR:.2f})", f"{ratio(busy):.2f}"),
        ("without reloads: whole seconds", f"{len(quiet)}"),
        ("without reloads: jobs in the median second", f"{median(quiet):,.0f}"),
        ("without reloads: jobs in the worst second", f"{min(quiet):,}"),
        ("without reloads: worst / median", f"{ratio(quiet):.2f}"),
        ("worst second while reloading / median second without", f"{across:.2f}"),
        ("CPU that others used, with / without reloads", f"{reloading:.0f} % / {otherwise:.0f} %"),
        ("fewest jobs seen ahead", f"{run.least:,}"),
        ("jobs enqueued", f"{counts.enqueued:,}"),
        ("executions", f"{counts.executions:,}"),
        ("jobs lost", f"{counts.lost:,}"),
        ("jobs run twice", f"{counts.repeated:,}"),
        ("jobs failed, or not at their first attempt", f"{counts.failed:,}"),
    ]


def is_right(run: Measured) -> bool:
    """Was each job run once, and did it succeed?"""
    counts = run.counts
    return counts.executions == counts.enqueued and not any(
        (counts.lost, counts.repeated, counts.failed)
    )


def verdict(run: Measured) -> str:
    if not is_right(run):
        return "WRONG: jobs were lost, run twice, or failed."
    met = "is met" if ratio(run.reloading) >= BAR else "is MISSED"
    said = f"Every job ran once; the bar {met}."
    return said if run.least else f"{said} The backlog ran dry: the rates mean little."


def text(run: Measured) -> str:
    """What is printed at the end."""
    table = rows(run)
    width = max(len(name) for name, _ in table)
    figures = max(len(value) for _, value in table)
    lines = [f"{name.ljust(width)}  {value.rjust(figures)}" for name, value in table]
    return "\n".join([*lines, "", verdict(run)])


def write(run: Measured, command: str) -> None:
    """Put the table into its place in docs/reliability.md. Raises ValueError if there is none."""
    block.write("reload", block.markdown(rows(run), verdict(run), run.machine, command))
