"""A system that is left alone: what it asks of the database and of the processor all the same."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .drain import Watch
from .meter import Meter
from .verify import verify

if TYPE_CHECKING:
    from .stage import Stage
    from .workers import Workers

#: Seconds after the last job until the system is taken for idle.
CALM = 5.0
#: Seconds, at a scale of 1.
MINUTE = 60.0


def measure(stage: Stage, task: str) -> dict[str, float]:
    """Statements, and milliseconds of CPU, a minute."""
    with stage.workers() as workers:
        come_to_rest(stage, workers, task)
        time.sleep(CALM)
        meter, began = Meter(stage.connection, workers.pids, stage.bench.server_pids), time.time()
        time.sleep(MINUTE * stage.bench.scale)
        cost, minutes = meter.read(), (time.time() - began) / 60
        workers.look()
    return {
        "statements": cost.statements / minutes,
        "worker_ms": cost.workers * 1000 / minutes,
        "server_ms": cost.servers * 1000 / minutes,
        "pss": workers.peak_pss / 2**20,
        "repeated": verify(stage, task),
    }


def come_to_rest(stage: Stage, workers: Workers, task: str) -> None:
    """They have started, done all jobs of the run, and know that there are no more."""
    stage.client.ask("fill", task=task, first=0, count=stage.jobs)
    watch = Watch(stage, workers)
    watch.until(stage.jobs)
    watch.until_settled()
