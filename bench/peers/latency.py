"""How long it takes from an enqueue, committed, to the start of the task.

Idle: one job at a time, each when the system has been left alone for a moment. Steady: one by one
at a constant rate, whatever becomes of them. Both from the return of `enqueue` to the task's first
line, on the clock that all processes share. A time below zero is possible: the task may begin
before its enqueuer is on a core again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..figures import percentile
from .drain import Watch
from .verify import verify

if TYPE_CHECKING:
    from .stage import Stage

#: Jobs that don't count, one at a time: the first of them waits until the workers have started.
WARM_UP = 20
#: Jobs a second.
STEADY = 1000.0


def idle(stage: Stage, task: str) -> dict[str, float]:
    """Milliseconds."""
    with stage.workers() as workers:
        watch = Watch(stage, workers)
        _warm_up(stage, task)
        stage.client.ask("one_at_a_time", task=task, first=WARM_UP, count=stage.jobs - WARM_UP)
        watch.until_settled()
        workers.look()
    return _percentiles(stage) | {"pss": workers.peak_pss / 2**20, "repeated": verify(stage, task)}


def steady(stage: Stage, task: str) -> dict[str, float]:
    """Milliseconds, and the rate at which the jobs were really enqueued."""
    count = stage.jobs - WARM_UP
    with stage.workers() as workers:
        watch = Watch(stage, workers)
        _warm_up(stage, task)
        time.sleep(1)  # what a burst of warm-ups has left behind
        seconds = stage.client.ask("steady", task=task, first=WARM_UP, count=count, rate=STEADY)
        watch.until(stage.jobs)
        watch.until_settled()
    offered = {"offered": count / seconds}
    return offered | _percentiles(stage) | {"repeated": verify(stage, task)}


def _warm_up(stage: Stage, task: str) -> None:
    stage.client.ask("one_at_a_time", task=task, first=0, count=WARM_UP)


def _percentiles(stage: Stage) -> dict[str, float]:
    ledger = stage.ledger
    lines = zip(ledger.called, ledger.returned, ledger.started, strict=True)
    times = [(s - r, s - c) for c, r, s in list(lines)[WARM_UP:]]
    after_return = [time / 1e6 for time, _ in times]
    after_call = [time / 1e6 for _, time in times]
    found = {f"p{percent}": percentile(after_return, percent) for percent in (50, 95, 99)}
    return found | {"call_p50": percentile(after_call, 50)}
