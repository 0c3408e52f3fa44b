"""Scale-out on one host: more and more supervisors of 8 subworkers each, or as many processes.

Every point drains a backlog of its own in the same database. It is enqueued at once, when all
workers are connected and have had some jobs, as 160 processes take long to start. The first tenth
is left out, and it goes until the last job has begun.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from ..processes import children
from .drain import Watch, settle_disk
from .errors import PeerFailed
from .meter import Meter, value
from .verify import verify

if TYPE_CHECKING:
    from .stage import Stage
    from .workers import Workers

SUPERVISORS = (1, 2, 3, 5, 8, 12, 20)
#: Subworkers of each; a system whose settings don't say how many has a process for each.
SUBWORKERS = 8
#: Milliseconds of a job, for each of the workloads.
PAUSES = {"scale0": 0, "scale5": 5, "scale50": 50, "scale500": 500}
#: Seconds that a point is to take about, at a scale of 1 …
SECONDS = 8.0
#: … if jobs could come at these rates (jobs/s): of batches, and of one at a time.
FASTEST, FASTEST_SINGLE = 40_000, 3_000
#: The fewest jobs for each place, and those before that don't count.
LEAST = 4
WARM_UP = 4
#: Seconds to start.
PATIENCE = 120.0
LOOK_AGAIN = 0.1


class Point(NamedTuple):
    """So many supervisors."""

    rate: float
    #: CPU µs a job of PostgreSQL, and of the workers.
    servers: float
    workers: float


def measure(stage: Stage, task: str) -> dict[str, float | list[float]]:
    """Series, with a value for each number of supervisors; the ledger has lines for all."""
    first, points = 0, []
    for supervisors in SUPERVISORS:
        count = jobs(stage.workload, supervisors, stage.bench.scale, single=is_single(stage))
        points.append(_point(stage, task, supervisors, first, count))
        first += WARM_UP * SUBWORKERS * supervisors + count
    verify(stage, task)
    return {
        "rate": max(point.rate for point in points),
        "one": points[0].rate,
        "last": points[-1].rate,
        "places": [float(SUBWORKERS * supervisors) for supervisors in SUPERVISORS],
        "rates": [point.rate for point in points],
        "server_us": [point.servers for point in points],
        "worker_us": [point.workers for point in points],
    }


def is_single(stage: Stage) -> bool:
    return "subworkers" not in stage.installed.system.settings_for(stage.workload).options


def jobs(workload: str, supervisors: int, scale: float, *, single: bool) -> int:
    """For one point."""
    places, pause = SUBWORKERS * supervisors, PAUSES[workload] / 1000
    most = FASTEST_SINGLE if single else FASTEST
    rate = min(most, places / pause) if pause else most
    return max(LEAST * places, round(scale * SECONDS * rate))


def all_jobs(workload: str, scale: float, *, single: bool) -> int:
    """For all points."""
    counted = sum(jobs(workload, each, scale, single=single) for each in SUPERVISORS)
    return counted + WARM_UP * SUBWORKERS * sum(SUPERVISORS)


def _point(stage: Stage, task: str, supervisors: int, first: int, count: int) -> Point:
    settle_disk(stage)
    processes = SUBWORKERS * supervisors if is_single(stage) else supervisors
    with stage.workers(processes) as workers:
        watch = Watch(stage, workers, first)
        first += warm_up(stage, workers, watch, task, first, SUBWORKERS * supervisors)
        stage.client.ask("fill", task=task, first=first, count=count)
        watch.until(first + count // 10)
        meter = Meter(stage.connection, workers.pids, stage.bench.server_pids)
        counted, seconds = watch.timed_until(first + count)
        cost = meter.read()
        watch.until_settled()
        workers.stop()
    return Point(counted / seconds, cost.servers * 1e6 / counted, cost.workers * 1e6 / counted)


def warm_up(
    stage: Stage, workers: Workers, watch: Watch, task: str, first: int, places: int
) -> int:
    """Wait until all are there, and give them some jobs; how many."""
    deadline = time.monotonic() + PATIENCE
    while not _are_there(stage, workers):
        workers.check_alive()
        if time.monotonic() > deadline:
            raise PeerFailed(f"not all of {len(workers.pids)} are there within {PATIENCE:g} s")
        time.sleep(LOOK_AGAIN)
    stage.client.ask("fill", task=task, first=first, count=WARM_UP * places)
    watch.until(first + WARM_UP * places)
    watch.until_settled()
    return WARM_UP * places


def _are_there(stage: Stage, workers: Workers) -> bool:
    """By their connections, or by their subworkers, beside which there is a template."""
    if is_single(stage):
        return int(value(stage.connection, "worker_sessions")) >= len(workers.pids)
    return all(len(children(pid)) > SUBWORKERS for pid in workers.pids)
