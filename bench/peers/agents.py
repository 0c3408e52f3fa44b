"""Hosts without a database, over one server, and as many that ask the database themselves.

So many supervisors of 8 subworkers are started, and drain a backlog of each kind of jobs, one
after the other. Each is enqueued at once; the first quarter is left out, and it goes until the last
job has begun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .. import processes
from .drain import Watch, settle_disk
from .meter import Meter, value
from .scale import FASTEST_SINGLE, SUBWORKERS, WARM_UP, is_single, warm_up
from .verify import verify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .meter import Cost
    from .stage import Stage

#: The workloads, and who takes part: over HTTP, and directly.
NAME, LATENCY = "http", "http-latency"
SERVED, DIRECT = "wsup-http", "wsup"
AGENTS = (1, 3, 10, 20)
#: Of the jobs of a point, the part that is not counted.
LEAD = 0.25


class Kind(NamedTuple):
    """Jobs of one kind."""

    title: str
    task: str
    #: Milliseconds that one takes, on the average.
    pause: int
    #: Jobs a second that are expected at most, and seconds that a point is to take at that rate.
    most: float
    seconds: float
    #: The fewest jobs for each place: a no-op is pulled with hundreds of others.
    least: int

    def jobs(self, agents: int, scale: float, *, single: bool) -> int:
        """For one point."""
        places = SUBWORKERS * agents
        rate = min(self.most, FASTEST_SINGLE if single else self.most)
        if self.pause:
            rate = min(rate, 1000 * places / self.pause)
        return max(self.least * places, round(scale * self.seconds * rate))


KINDS = {
    "noop": Kind("no-op", "noop", 0, 40_000, 4, 500),
    "pause": Kind("5 ms", "pause5", 5, 10_000, 4, 100),
    "sleep": Kind("300 to 700 ms", "sleep", 500, 1_000, 8, 8),
}


class Point(NamedTuple):
    """What so many supervisors did with jobs of a kind."""

    #: Jobs a second.
    rate: float
    #: Connections to the database, the most that were seen.
    connections: float
    #: By 1,000 jobs; transactions are those that have written.
    statements: float
    transactions: float
    #: CPU ms by 1,000 jobs: of PostgreSQL, of the server in between, of the supervisors.
    database: float
    server: float
    agents: float


class Seen(NamedTuple):
    """What a stretch of work has cost."""

    jobs: int
    seconds: float
    cost: Cost
    #: CPU seconds of the server in between.
    server: float
    connections: int


def measure(stage: Stage, _task: str) -> dict[str, float | list[float]]:
    """Series by kind, with a value for each number of supervisors; the ledger has lines for all."""
    first, found = 0, {kind: list[Point]() for kind in KINDS}
    for agents in AGENTS:
        first = _of_so_many(stage, agents, first, found)
    verify(stage, "noop")  # all tasks give back the job's number
    return figures(found)


def figures(found: Mapping[str, Sequence[Point]]) -> dict[str, float | list[float]]:
    """Of all points, by kind; `rate` is that of no-op jobs and one supervisor."""
    series: dict[str, float | list[float]] = {"rate": found["noop"][0].rate}
    series["agents"] = [float(agents) for agents in AGENTS]
    series["places"] = [float(SUBWORKERS * agents) for agents in AGENTS]
    for kind, points in found.items():
        for name in Point._fields:
            series[f"{kind}_{name}"] = [getattr(point, name) for point in points]
    return series


def point_of(seen: Seen) -> Point:
    """By the job."""
    thousands = seen.jobs / 1000
    return Point(
        rate=seen.jobs / seen.seconds,
        connections=seen.connections,
        statements=seen.cost.statements / thousands,
        transactions=seen.cost.commits / thousands,
        database=seen.cost.servers * 1000 / thousands,
        server=seen.server * 1000 / thousands,
        agents=seen.cost.workers * 1000 / thousands,
    )


def all_jobs(scale: float, *, single: bool) -> int:
    """For all points."""
    counted = sum(
        kind.jobs(agents, scale, single=single) for kind in KINDS.values() for agents in AGENTS
    )
    return counted + len(KINDS) * WARM_UP * SUBWORKERS * sum(AGENTS)


def _of_so_many(stage: Stage, agents: int, first: int, found: Mapping[str, list[Point]]) -> int:
    """Adds a point to each kind; returns the number of the next job."""
    single = is_single(stage)
    with stage.workers(SUBWORKERS * agents if single else agents) as workers:
        watch = Watch(stage, workers, first)
        # The long ones first: who knows short ones alone takes too many of those for its own.
        for name, kind in reversed(KINDS.items()):
            first += warm_up(stage, workers, watch, kind.task, first, SUBWORKERS * agents)
            count = kind.jobs(agents, stage.bench.scale, single=single)
            settle_disk(stage)
            stage.client.ask("fill", task=kind.task, first=first, count=count)
            watch.until(first + round(LEAD * count))
            found[name].append(point_of(_seen(stage, watch, workers.pids, first + count)))
            watch.until_settled()
            first += count
        workers.stop()
    return first


def _seen(stage: Stage, watch: Watch, workers: Sequence[int], last: int) -> Seen:
    """From now until all jobs before `last` have begun."""
    server = stage.served.pids if stage.served else []
    connections = value(stage.connection, "worker_sessions")
    meter = Meter(stage.connection, workers, stage.bench.server_pids)
    spent = processes.family_seconds(server)
    counted, seconds = watch.timed_until(last)
    spent = processes.family_seconds(server) - spent
    cost = meter.read()
    connections = max(connections, value(stage.connection, "worker_sessions"))
    return Seen(counted, seconds, cost, spent, connections)
