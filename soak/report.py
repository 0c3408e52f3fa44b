"""What a soak has found: a table for the terminal and docs/reliability.md, and the offenders."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from bench import block

from .allowed import RATE, RUNNING
from .promises import CANCEL, DEPENDENCY, KEY, UNIQUE
from .requests import Limited, Shared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .accounts import Accounts
    from .audit import Findings
    from .faults import Fault
    from .judge import Problem
    from .plan import Plan

#: Offenders that are shown, of each kind.
SHOWN = 5
#: Kinds of problems that have a line in the table even when there are none.
ALWAYS = (
    "lost", "doubled", "rolled back, but run", "unexplained", "wrong end", "orphan", "left behind",
    DEPENDENCY, CANCEL, UNIQUE, KEY, RUNNING, RATE,
)  # fmt: skip


class Run(NamedTuple):
    """A finished soak."""

    command: str
    plan: Plan
    accounts: Accounts
    faults: Sequence[Fault]
    findings: Findings
    #: Seconds from the first enqueue until the last outcome.
    seconds: float
    #: Name and value, line by line.
    machine: Sequence[tuple[str, str]]
    #: What was there beside the supervisors: the same.
    around: Sequence[tuple[str, str]] = ()


def rows(run: Run) -> list[tuple[str, str]]:
    """Name and value, line by line."""
    found, states = run.findings, run.findings.states
    ended = sum(states.values()) - states["none"]
    table: list[tuple[str, str]] = [
        *run.around,
        ("minutes, with draining", f"{run.seconds / 60:.1f}"),
        ("jobs committed", f"{sum(states.values()):,}"),
        ("jobs succeeded", f"{states['succeeded']:,}"),
        ("jobs failed, as they should", f"{states['failed']:,}"),
        ("jobs with limits", f"{run.accounts.requests.count(Limited):,}"),
        ("jobs of tenants in a fair queue", f"{run.accounts.requests.count(Shared):,}"),
        ("jobs rolled back", f"{run.accounts.rolled_back:,}"),
        ("jobs a second, mean", f"{ended / run.seconds:,.0f}"),
        ("executions", f"{found.executions:,}"),
    ]
    for kind, count in sorted(found.explained.items()):
        table.append((f"second executions after: {kind}", f"{count:,}"))
    counts = Counter(fault.kind for fault in run.faults)
    table.append(("faults injected", f"{counts.total():,}"))
    table += [(f"faults: {kind}", f"{count:,}") for kind, count in sorted(counts.items())]
    wrong = Counter(problem.kind for problem in found.problems)
    kinds = [*ALWAYS, *sorted(wrong.keys() - set(ALWAYS))]
    return table + [(f"WRONG: {kind}", f"{wrong[kind]:,}") for kind in kinds]


def text(run: Run) -> str:
    """What is printed at the end."""
    table = rows(run)
    width = max(len(name) for name, _ in table)
    figures = max(len(value) for _, value in table)
    lines = [f"{name.ljust(width)}  {value.rjust(figures)}" for name, value in table]
    return "\n".join([*lines, "", verdict(run.findings.problems)])


def verdict(problems: Sequence[Problem]) -> str:
    if not problems:
        return "Nothing was lost, nothing doubled, and every second execution is explained."
    return f"{len(problems):,} PROBLEMS"


def offenders(problems: Sequence[Problem], faults: Sequence[Fault]) -> str:
    """The first few of each kind, with the lines of the ledger, and the faults."""
    lines = []
    for kind in dict.fromkeys(problem.kind for problem in problems):
        for problem in [p for p in problems if p.kind == kind][:SHOWN]:
            lines += [f"{kind}: {problem.text}", *(f"    {line}" for line in problem.lines)]
    return "\n".join([*lines, "faults:", *(f"    {fault}" for fault in faults)])


def write(run: Run) -> None:
    """Put the table into its place in docs/reliability.md. Raises ValueError if there is none."""
    said = verdict(run.findings.problems)
    name = "soak-http" if run.plan.http else "soak"
    block.write(name, block.markdown(rows(run), said, run.machine, run.command))
