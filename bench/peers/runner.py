"""All runs of a plan, one after the other, each on a stage of its own."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..processes import family_seconds, machine_seconds
from .errors import NotInstalled, PeerError
from .install import install
from .results import Measured
from .stage import stage
from .workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .install import Installed
    from .plan import Plan
    from .stage import Bench
    from .system import System


def install_all(systems: list[System]) -> tuple[list[Installed], dict[str, str]]:
    """Those that can be run, and why the others can't."""
    installed: list[Installed] = []
    missing: dict[str, str] = {}
    for system in systems:
        try:
            installed.append(install(system))
            tell(f"{system.name} {installed[-1].version}")
        except NotInstalled as error:
            missing[system.name] = str(error)
            tell(f"{system.name} can't be installed: {error}")
    return installed, missing


def play(bench: Bench, plan: Plan, systems: list[Installed]) -> Iterator[Measured]:
    """Every run's line as soon as it is there; one that fails has an error instead of figures."""
    for workload, number, installed in plan.runs(systems):
        jobs = plan.jobs(installed.system, workload)
        beside = plan.obstacles(workload)
        measured = _measure(bench, installed, workload, number, jobs, beside)
        tell(f"{workload} {number} {installed.system.name}: {_said(measured)}")
        yield measured


def _measure(
    bench: Bench, installed: Installed, workload: str, number: int, jobs: int, beside: int
) -> Measured:
    system = installed.system
    settings = system.settings_for(workload)
    chosen = WORKLOADS[workload]
    figures: dict[str, float] = {}
    series: dict[str, list[float]] = {}
    error = system.without.get(workload)
    # All of PostgreSQL's processes are below its own, Redis and the peers below ours.
    ours = (os.getpid(), bench.server.pid)
    began, busy, used = time.monotonic(), machine_seconds(), family_seconds(ours)
    if error is None:
        try:
            with stage(bench, installed, workload, jobs, beside) as one:
                for name, value in chosen.measure(one, chosen.task).items():
                    if isinstance(value, Sequence):
                        series[name] = list(value)
                    else:
                        figures[name] = value
        except PeerError as failed:
            error = str(failed)
    others = machine_seconds() - busy - (family_seconds(ours) - used)
    seconds = time.monotonic() - began
    share = 100 * others / (os.cpu_count() or 1) / seconds
    return Measured(
        workload=workload, round=number, system=system.name, version=installed.version,
        keeps_results=system.keeps_results, isolates=system.isolates, jobs=jobs,
        settings=settings.options, source=settings.source, why=settings.why,
        figures=figures, others=max(0.0, share), error=error, language=system.language,
        yardstick=system.yardstick, durable=not system.redis, series=series,
        seconds=round(seconds, 1),
    )  # fmt: skip


def _said(measured: Measured) -> str:
    if measured.error is not None:
        return measured.error
    chosen = WORKLOADS[measured.workload]
    said = f"{chosen.figure} {measured.figures[chosen.figure]:{chosen.form}} {chosen.unit}"
    return f"{said}; others took {measured.others:.0f} % of the CPU"


def tell(line: str) -> None:
    """Progress, beside the output proper."""
    print(f"  {line}", file=sys.stderr, flush=True)
