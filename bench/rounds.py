"""One round: every system, one after the other, on the same server."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from . import backlog, latency, memory, turns
from .app import app
from .figures import percentile
from .processes import family_seconds, machine_seconds, pss_bytes
from .reference import bare, floor
from .server import WORKER
from .supervisor import Supervisor

if TYPE_CHECKING:
    from .backlog import Drained
    from .figures import Figures
    from .plan import Plan
    from .server import Server

MIB = 1024 * 1024


def play(server: Server, plan: Plan, figures: Figures) -> None:
    """Add one value, or more, to every figure."""
    ours = (os.getpid(), server.pid)
    began, busy, used = time.monotonic(), machine_seconds(), family_seconds(ours)
    for _ in range(plan.pairs):
        figures.add("loop", turns.measure(server, plan.jobs))
        tell(f"the loop with wsup's statements: {figures.last('loop'):,.0f} jobs/s")
        _floor(server, plan, figures)
    _wsup(server, plan, figures)
    _bare(server, plan, figures)
    figures.add("separate memory", memory.separate_interpreters() / MIB)
    others = machine_seconds() - busy - (family_seconds(ours) - used)
    cores = os.cpu_count() or 1
    figures.add("others", max(0.0, 100 * others / cores / (time.monotonic() - began)))


def warm_up(server: Server, plan: Plan) -> None:
    """A floor run that is not counted: the server's memory and its first WAL files."""
    with server.database("measured", migrated=False) as database:
        floor.measure(server.dsn(database), plan.few_jobs)


def tell(line: str) -> None:
    """Progress, beside the output proper."""
    print(f"  {line}", file=sys.stderr, flush=True)


def _floor(server: Server, plan: Plan, figures: Figures) -> None:
    with server.database("measured", migrated=False) as database:
        figures.add("floor", floor.measure(server.dsn(database), plan.jobs).rate)
    tell(f"the reference floor: {figures.last('floor'):,.0f} jobs/s")


def _bare(server: Server, plan: Plan, figures: Figures) -> None:
    with server.database("measured", migrated=False) as database:
        seconds = bare.latency(server.dsn(database), plan.latencies)
    _add_latencies(figures, "bare", [1000 * second for second in seconds])


def _wsup(server: Server, plan: Plan, figures: Figures) -> None:
    with server.database("measured") as database, server.connect(database) as connection:
        app.database = server.dsn(database)
        try:
            with Supervisor(server.dsn(database, WORKER), server.folder) as supervisor:
                backlog.drain(connection, supervisor, plan.few_jobs // 10)
                before = backlog.drain(connection, supervisor, plan.few_jobs)
                for _ in range(plan.drains):
                    large = backlog.drain(connection, supervisor, plan.jobs)
                    after = backlog.drain(connection, supervisor, plan.few_jobs)
                    _add_drained(figures, large, plan.jobs)
                    figures.add("few", (before.rate + after.rate) / 2)
                    figures.add("few steady", (before.steady + after.steady) / 2)
                    before = after
                _add_latencies(figures, "wsup", latency.measure(connection, plan.latencies))
                subworkers = pss_bytes(supervisor.subworkers)
                figures.add("subworkers memory", subworkers / MIB)
                figures.add("forked memory", (subworkers + pss_bytes(supervisor.template)) / MIB)
        finally:
            app.close()


def _add_drained(figures: Figures, drained: Drained, jobs: int) -> None:
    cost = drained.cost
    figures.add("wsup", drained.rate)
    figures.add("floor before wsup", figures.last("floor"))
    figures.add("wsup steady", drained.steady)
    figures.add("enqueue_many", drained.enqueued)
    figures.add("supervisor cpu", cost.supervisor * 1e6 / jobs)
    figures.add("subworkers cpu", cost.subworkers * 1e6 / jobs)
    figures.add("backends cpu", cost.backends * 1e6 / jobs)
    figures.add("statements", cost.statements * 1000 / jobs)
    figures.add("transactions", cost.transactions * 1000 / jobs)
    figures.add("wal", cost.wal * 1000 / jobs / 1024)
    tell(f"wsup start: {drained.rate:,.0f} jobs/s")


def _add_latencies(figures: Figures, name: str, milliseconds: list[float]) -> None:
    figures.add(f"{name} p50", percentile(milliseconds, 50))
    figures.add(f"{name} p95", percentile(milliseconds, 95))
    tell(f"{name} latency: p50 {figures.last(f'{name} p50'):.2f} ms")
