"""What is measured: the workloads by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import (
    agents,
    drain,
    enqueue,
    features,
    idle,
    latency,
    memory,
    obstacles,
    scale,
    sleeps,
    steady,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .stage import Stage

    #: Figures by name; what has many values, one after the other, is a series.
    Found = Mapping[str, float | Sequence[float]]


class Workload(NamedTuple):
    """One of them."""

    title: str
    task: str
    #: For a system that names no number of its own.
    jobs: int
    measure: Callable[[Stage, str], Found]
    #: The figure that systems are compared by, and is more of it better?
    figure: str
    unit: str
    more_is_better: bool
    #: How its numbers are written.
    form: str
    #: What stands in its table: the head, the figure, and the form of its numbers.
    columns: tuple[tuple[str, str, str], ...]
    #: Is it one of `make bench-long`?
    long: bool = False
    #: Times that it is measured, where the command line doesn't say; 0: as the system has it.
    rounds: int = 0
    #: The systems that take part, where it isn't for all.
    systems: tuple[str, ...] = ()
    #: How many jobs stand in the way of those that are measured.
    beside: int = 0


def _drained(title: str, task: str, jobs: int) -> Workload:
    return Workload(title, task, jobs, drain.measure, "rate", "jobs/s", True, ",.0f", DRAINED)


def _waiting(
    title: str,
    jobs: int,
    measure: Callable[[Stage, str], Found],
    figure: str,
    columns: tuple[tuple[str, str, str], ...],
) -> Workload:
    return Workload(title, "noop", jobs, measure, figure, "ms", False, ",.2f", columns)


def _steady(
    title: str,
    measure: Callable[[Stage, str], Found],
    task: str = "noop",
    systems: tuple[str, ...] = (),
) -> Workload:
    title = f"10 minutes at 70 % of its own rate: {title}"
    return Workload(
        title, task, 1_000_000, measure, "rate", "jobs/s", True, ",.0f", LASTING, long=True,
        rounds=1, systems=systems,
    )  # fmt: skip


def _obstructed(title: str, beside: int, measure: Callable[[Stage, str], Found]) -> Workload:
    return Workload(
        title, "noop", 100_000, measure, "rate", "jobs/s", True, ",.0f", OBSTRUCTED,
        long=True, rounds=1, beside=beside,
    )  # fmt: skip


def _kind(title: str, measure: Callable[[Stage, str], Found]) -> Workload:
    return Workload(
        title, "noop", 100_000, measure, "rate", "jobs/s", True, ",.0f", OF_A_KIND,
        long=True, rounds=3, systems=("wsup",),
    )  # fmt: skip


def _sleeping(places: int, jobs: int) -> Workload:
    title = f"Sleeping 300 to 700 ms, {places} at a time"
    return Workload(title, "sleep", jobs, sleeps.measure, "filled", "share", True, ".3f", DRAINED)


DRAINED = (
    ("workers, CPU µs a job", "worker_us", ",.1f"),
    ("servers, CPU µs a job", "server_us", ",.1f"),
    ("statements per 1,000", "statements", ",.1f"),
    ("transactions per 1,000", "transactions", ",.1f"),
    ("WAL bytes a job", "wal", ",.0f"),
    ("dead rows", "dead", ",.0f"),
    ("workers, PSS MiB", "pss", ",.0f"),
)
P50, P95, P99 = (("p50", "p50", ",.2f"), ("p95", "p95", ",.2f"), ("p99", "p99", ",.2f"))
ENQUEUED = (
    ("one by one", "single", ",.0f"),
    ("in caller's transactions", "transaction", ",.0f"),
)
IDLE = (P95, P99, ("p50 from the call", "call_p50", ",.2f"), DRAINED[-1])
STEADY = (P50, P95, ("really offered, jobs/s", "offered", ",.0f"))


def _scaled(milliseconds: int) -> Workload:
    title = f"1 to 20 supervisors, jobs of {milliseconds} ms"
    return Workload(
        title, f"pause{milliseconds}" if milliseconds else "noop", 0, scale.measure, "rate",
        "jobs/s", True, ",.0f", SCALED, long=True, rounds=1,
        systems=("wsup", "single", agents.SERVED),
    )  # fmt: skip


def _forked(title: str) -> Workload:
    return Workload(
        title, "noop", 200, memory.measure, "rate", "x PSS", False, ".2f", FORKED, long=True,
        rounds=1, systems=("wsup",),
    )  # fmt: skip


SCALED = (("of 1 supervisor", "one", ",.0f"), ("of 20", "last", ",.0f"))
LASTING = (
    ("no-op rate", "own", ",.0f"),
    ("offered", "offered", ",.0f"),
    ("lowest window", "lowest", ",.0f"),
    ("last / first", "kept", ".2f"),
    ("pull ms, first window", "first_pull", ",.2f"),
    ("last window", "last_pull", ",.2f"),
    ("backlog at the end", "backlog", ",.0f"),
    ("dead rows at the end", "dead", ",.0f"),
)
ALONE = (
    ("workers, CPU ms a minute", "worker_ms", ",.1f"),
    ("servers, CPU ms a minute", "server_ms", ",.1f"),
    DRAINED[-1],
)
FORKED = (
    ("with the template", "template", ".2f"),
    ("subworkers, MiB", "forked", ",.1f"),
    ("one interpreter, MiB", "one", ",.1f"),
)
OBSTRUCTED = (("without", "without", ",.0f"), ("with / without", "kept", ".2f"))
OF_A_KIND = (("plain jobs", "plain", ",.0f"), ("share of plain", "kept", ".2f"))
PRUNED = (*OBSTRUCTED, ("removed a second", "removed", ",.0f"))

WORKLOADS = {
    "noop": _drained("No-op", "noop", 100_000),
    "large": _drained("No-op, 10 KB in and out", "large", 20_000),
    "cpu": _drained("1 ms of CPU", "cpu", 10_000),
    "sleep": _sleeping(8, 200),
    "sleep24": _sleeping(24, 600),
    "async": _drained("Waiting 50 ms, async", "nap", 10_000),
    "latency": _waiting("Idle latency", 520, latency.idle, "p50", IDLE),
    "steady": _waiting("Latency at 1,000 jobs/s", 10_020, latency.steady, "p99", STEADY),
    "enqueue": Workload(
        "Enqueueing", "noop", 100_000, enqueue.measure, "bulk", "jobs/s", True, ",.0f", ENQUEUED
    ),
    "long": _steady("nobody pins the horizon", steady.plain),
    "long-reader": _steady("a reader pins the horizon", steady.reader),
    "long-writer": _steady("an idle writer pins the horizon", steady.writer),
    "long-dump": _steady("a backup has locked every table", steady.dump),
    "long-retried": _steady(
        "a reader pins the horizon, and each job is tried twice", steady.retried, "flaky", ("wsup",)
    ),
    "long-retried-writer": _steady(
        "an idle writer pins the horizon, and each job is tried twice", steady.retried_writer,
        "flaky", ("wsup",),
    ),
    "long-keyed": _steady(
        "a reader pins the horizon, 1,000 serial keys", steady.keyed, systems=("wsup",)
    ),
    "long-keyed-writer": _steady(
        "an idle writer pins the horizon, 1,000 serial keys", steady.keyed_writer,
        systems=("wsup",),
    ),
    "long-limited": _steady(
        "a reader pins the horizon, jobs with a rate limit", steady.reader, systems=("wsup",)
    ),
    "long-limited-writer": _steady(
        "an idle writer pins the horizon, jobs with a rate limit", steady.writer,
        systems=("wsup",),
    ),
    "deep": _obstructed("1,000,000 more jobs ready", 1_000_000, obstacles.deep),
    "tomorrow": _obstructed(
        "100,000 jobs for tomorrow, of a higher priority", 100_000, obstacles.tomorrow
    ),
    "busy": _obstructed("10,000 jobs behind a busy serial key", 10_001, obstacles.busy),
    "busy-keys": _obstructed(
        "10,000 jobs behind a busy serial key, the others of 160 more keys", 10_001,
        obstacles.busy_keys,
    ),
    "unused": Workload(
        "No-op jobs that use no feature, now and before there were any", "noop", 100_000,
        drain.measure, "rate", "jobs/s", True, ",.0f", DRAINED, long=True, rounds=9,
        systems=("wsup", "wsup-before"),
    ),
    "keys": _kind("Jobs of 1,000 serial keys", features.keys),
    "chains": _kind("1,000 chains of 100 jobs", features.chains),
    "fans": _kind("Fan-outs and fan-ins of 10,000", features.fans),
    "retention": Workload(
        "10,000,000 finished jobs are removed", "noop", 200_000, features.retention, "rate",
        "jobs/s", True, ",.0f", PRUNED, long=True, rounds=1, systems=("wsup",), beside=10_000_000,
    ),
    "idle": Workload(
        "Nothing to do", "noop", 200, idle.measure, "statements", "statements a minute",
        False, ",.1f", ALONE, long=True, rounds=1,
    ),
    "memory": _forked("8 idle subworkers with numpy, by one interpreter"),
    "memory-async": _forked("8 idle subworkers with numpy and async tasks, by one interpreter"),
    "scale0": _scaled(0),
    "scale5": _scaled(5),
    "scale50": _scaled(50),
    "scale500": _scaled(500),
    agents.NAME: Workload(
        "Over one server, and directly", "noop", 0, agents.measure, "rate",
        "no-op jobs/s of 1 agent", True, ",.0f", (), long=True, rounds=2,
        systems=(agents.DIRECT, agents.SERVED),
    ),
    agents.LATENCY: Workload(
        "Idle latency over a server, and directly", "noop", 270, latency.idle, "p50", "ms", False,
        ",.2f", IDLE, long=True, rounds=3, systems=(agents.DIRECT, agents.SERVED),
    ),
}  # fmt: skip
#: Several of them, by one name.
GROUPS = {
    "obstacles": ("deep", "tomorrow", "busy", "busy-keys", "unused"),
    "deps": ("chains", "fans"),
    "http": (agents.NAME, agents.LATENCY),
}
