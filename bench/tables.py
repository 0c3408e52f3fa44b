"""The two tables of a run, and their forms: text for a terminal, Markdown for the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .bars import BARS

if TYPE_CHECKING:
    from .figures import Figures, Spread
    from .plan import Plan


class Table(NamedTuple):
    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


class Line(NamedTuple):
    """A line of the table of measurements."""

    what: str
    unit: str
    name: str
    form: str


def bars(figures: Figures) -> Table:
    """Every bar, what was measured, and whether it is met."""
    rows: list[tuple[str, ...]] = []
    for bar in BARS:
        value = bar.measured(figures)
        met = "yes" if bar.is_met(value.median) else "NO"
        bound = f"{bar.sign} {bar.bound:{bar.form}}"
        rows.append((bar.what, bound, format(value.median, bar.form), _range(value, bar.form), met))
    return Table("Bars", ("what", "bar", "measured", "range", "met"), rows)


def missed(figures: Figures) -> list[str]:
    return [bar.what for bar in BARS if not bar.is_met(bar.measured(figures).median)]


def measurements(figures: Figures, plan: Plan) -> Table:
    """Every measurement: its median and range over the rounds."""
    rows: list[tuple[str, ...]] = []
    for what, unit, name, form in _lines(plan):
        value = figures.spread(name)
        count = str(value.size)
        rows.append((what, unit, format(value.median, form), _range(value, form), count))
    return Table("Measurements", ("what", "unit", "median", "range", "values"), rows)


def _lines(plan: Plan) -> list[Line]:
    jobs, few = f"{plan.jobs:,} jobs", f"{plan.few_jobs:,} jobs"
    large, end = f"wsup start, {jobs}", "wsup start, a job:"
    per = "wsup start, 1,000 jobs:"
    return [
        Line(f"reference floor, {jobs}", "jobs/s", "floor", ",.0f"),
        Line(f"wsup's statements, {jobs}", "jobs/s", "loop", ",.0f"),
        Line(large, "jobs/s", "wsup", ",.0f"),
        Line(f"wsup start, {few}", "jobs/s", "few", ",.0f"),
        Line(f"{large}, first to last outcome", "jobs/s", "wsup steady", ",.0f"),
        Line(f"wsup start, {few}, first to last outcome", "jobs/s", "few steady", ",.0f"),
        Line(f"{end} CPU of the supervisor", "µs", "supervisor cpu", ".1f"),
        Line(f"{end} CPU of the 8 subworkers", "µs", "subworkers cpu", ".1f"),
        Line(f"{end} CPU of its PostgreSQL backends", "µs", "backends cpu", ".1f"),
        Line(f"{per} statements", "", "statements", ".1f"),
        Line(f"{per} transactions that write", "", "transactions", ".2f"),
        Line(f"{per} WAL without page images", "KiB", "wal", ",.0f"),
        Line(f"enqueue_many, {plan.jobs:,} rows", "rows/s", "enqueue_many", ",.0f"),
        Line(f"pull of 500, {plan.shallow_ready:,} ready", "ms", "shallow", ".2f"),
        Line(
            f"pull of 500, {plan.deep_ready:,} ready, {plan.deep_waiting:,} waiting",
            "ms", "deep", ".2f",
        ),
        Line("idle latency, bare p50", "ms", "bare p50", ".2f"),
        Line("idle latency, bare p95", "ms", "bare p95", ".2f"),
        Line("idle latency, wsup p50", "ms", "wsup p50", ".2f"),
        Line("idle latency, wsup p95", "ms", "wsup p95", ".2f"),
        Line("PSS of 8 idle subworkers", "MiB", "subworkers memory", ".1f"),
        Line("PSS of 8 idle subworkers and their template", "MiB", "forked memory", ".1f"),
        Line("PSS of 8 separate interpreters", "MiB", "separate memory", ".1f"),
        Line("CPU of the machine that others used meanwhile", "%", "others", ".0f"),
    ]  # fmt: skip


def _range(value: Spread, form: str) -> str:
    return f"{value.low:{form}} to {value.high:{form}}" if value.size > 1 else ""


def as_text(table: Table) -> str:
    """Columns filled up with blanks; the first two to the left."""
    grid = [table.head, *table.rows]
    widths = [max(len(row[i]) for row in grid) for i in range(len(table.head))]
    lines = [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in grid
    ]
    return "\n".join([table.title, "-" * len(table.title), *lines])


def as_markdown(table: Table) -> str:
    """A table of GitHub's Markdown; a bar that is missed stands out."""
    align = ["---"] * 2 + ["---:"] * (len(table.head) - 2)
    grid = [table.head, tuple(align), *table.rows]
    lines = ["| " + " | ".join(row) + " |" for row in grid]
    return "\n".join([f"## {table.title}", "", *lines]).replace("| NO |", "| **no** |")
