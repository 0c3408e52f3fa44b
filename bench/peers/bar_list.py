"""Each bar: the figure, the least or the most that it should be, and how it is found in a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .bar import Bar, Said
from .book import (
    Book,
    Found,
    NotMeasured,
    is_durable_peer,
    is_isolating_peer,
    is_peer,
    is_python_peer,
)
from .http_bars import HTTP_BARS

if TYPE_CHECKING:
    from collections.abc import Callable


GRAPHILE, PGQUEUER, BARE, FLOOR = "graphile-worker", "pgqueuer", "bare", "floor"
#: Milliseconds of the jobs of the scale-out workloads.
PAUSES = (0, 5, 50, 500)


def _figure(workload: str, figure: str, by: float = 1.0) -> Callable[[Book], Said]:
    return lambda book: Said(book.figure(workload, figure) / by)


def _beside(workload: str, figure: str, choose: Callable[[Book], Found]) -> Callable[[Book], Said]:
    """wsup's by somebody else's."""

    def measured(book: Book) -> Said:
        ours, other = book.figure(workload, figure), choose(book)
        form = ",.0f" if ours >= 100 else ".2f"
        return Said(ours / other.value, f"{ours:{form}} / {other.value:{form}}, {other.system}")

    return measured


def _of(system: str, workload: str, figure: str) -> Callable[[Book], Said]:
    return _beside(
        workload, figure, lambda book: Found(book.figure(workload, figure, system), system)
    )


def _async(book: Book) -> Said:
    """By what its places could do in naps of 50 ms, or by what PostgreSQL lets no-ops do."""
    places = book.option("async", "subworkers") * book.option("async", "concurrency")
    allowed = min(places / 0.05, book.figure("noop", "rate"))
    return Said(book.figure("async", "rate") / allowed, f"of {allowed:,.0f} jobs/s")


def _cpu(book: Book) -> Said:
    if not book.cores:
        raise NotMeasured("the run doesn't say how many cores there were")
    return Said(book.figure("cpu", "rate") / (book.cores * 1000), f"{book.cores} cores")


def _bulk(book: Book) -> Said:
    """150,000 rows/s or half of a bare COPY: whichever is less."""
    ours, bare = book.figure("enqueue", "bulk"), book.figure("enqueue", "bulk", BARE)
    return Said(ours / min(150_000, bare / 2), f"{ours:,.0f} rows/s, COPY {bare:,.0f}")


def _scaled(name: str, judge: Callable[[list[float]], float], worst: Callable[..., float]) -> (
    Callable[[Book], Said]
):  # fmt: skip
    """The worst of the four lengths of jobs."""

    def measured(book: Book) -> Said:
        found = {pause: judge(book.series(f"scale{pause}", name)) for pause in PAUSES}
        value = worst(found.values())
        return Said(value, ", ".join(f"{ms} ms: {each:.2f}" for ms, each in found.items()))

    return measured


def _fastest(workload: str, choice: Callable[..., bool], who: str) -> Callable[[Book], Found]:
    return lambda book: book.best(workload, "rate", choice, who)


def _lowest(workload: str, figure: str) -> Callable[[Book], Found]:
    return lambda book: book.best(workload, figure, is_durable_peer, "a durable peer", least=True)


BARS = (
    Bar("noop-floor", "no-op / reference floor", ">=", 0.6, _of(FLOOR, "noop", "rate")),
    Bar("noop-python", "no-op / fastest peer in Python", ">=", 1.5,
        _beside("noop", "rate", _fastest("noop", is_python_peer, "a peer in Python"))),
    Bar("noop-isolated", "no-op / fastest peer that isolates jobs", ">=", 7,
        _beside("noop", "rate", _fastest("noop", is_isolating_peer, "a peer that isolates"))),
    Bar("noop-graphile", "no-op / graphile-worker, batched", ">=", 1.3,
        _of(GRAPHILE, "noop", "rate")),
    Bar("noop-statements", "no-op, statements per 1,000", "<=", 10,
        _figure("noop", "statements"), ".1f"),
    Bar("noop-transactions", "no-op, transactions per 1,000", "<=", 5,
        _figure("noop", "transactions"), ".1f"),
    Bar("noop-wal", "no-op, WAL bytes a job", "<=", 850, _figure("noop", "wal"), ",.0f"),
    Bar("noop-supervisor", "no-op, CPU µs of the supervisor a job", "<=", 8,
        _figure("noop", "main_us"), ".1f"),
    Bar("noop-subworkers", "no-op, CPU µs of the subworkers a job", "<=", 12,
        lambda book: Said(book.figure("noop", "worker_us") - book.figure("noop", "main_us")),
        ".1f"),
    Bar("cpu-share", "1 ms of CPU / what the cores could do", ">=", 0.93, _cpu),
    Bar("cpu-peers", "1 ms of CPU / fastest peer", ">=", 1,
        _beside("cpu", "rate", _fastest("cpu", is_peer, "a peer"))),
    Bar("sleep-8", "sleeping, 8 places: share filled", ">=", 0.99, _figure("sleep", "filled"),
        ".3f"),
    Bar("sleep-24", "sleeping, 24 places: share filled", ">=", 0.99, _figure("sleep24", "filled"),
        ".3f"),
    Bar("sleep-8-transactions", "sleeping, 8 places: transactions a job while busy", "<=", 1.2,
        _figure("sleep", "busy", 1000)),
    Bar("sleep-24-transactions", "sleeping, 24 places: transactions a job while busy", "<=", 1.2,
        _figure("sleep24", "busy", 1000)),
    Bar("async", "async naps / what places, or no-ops, allow", ">=", 0.9, _async),
    Bar("latency-bare", "idle latency p50 / bare NOTIFY and committed pull", "<=", 1.5,
        _of(BARE, "latency", "p50")),
    Bar("latency-graphile-p50", "idle latency p50 / graphile-worker", "<=", 1,
        _of(GRAPHILE, "latency", "p50")),
    Bar("latency-graphile-p95", "idle latency p95 / graphile-worker", "<=", 1,
        _of(GRAPHILE, "latency", "p95")),
    Bar("latency-lowest", "idle latency p50 / lowest durable peer", "<=", 1,
        _beside("latency", "p50", _lowest("latency", "p50"))),
    Bar("steady-p99", "latency at 1,000 jobs/s, p99, ms", "<=", 20, _figure("steady", "p99"),
        ".1f"),
    Bar("steady-lowest", "latency at 1,000 jobs/s, p99 / lowest durable peer", "<=", 1,
        _beside("steady", "p99", _lowest("steady", "p99"))),
    Bar("enqueue-bulk", "bulk / (150,000 rows/s, or half a bare COPY)", ">=", 1, _bulk),
    Bar("enqueue-single", "one by one / bare INSERT", ">=", 0.7, _of(BARE, "enqueue", "single")),
    Bar("enqueue-pgqueuer", "one by one / pgqueuer", ">=", 1, _of(PGQUEUER, "enqueue", "single")),
    Bar("long-reader", "horizon pinned by a reader: last window / first", ">=", 0.95,
        _figure("long-reader", "kept")),
    Bar("long-writer", "horizon pinned by an idle writer: last window / first", ">=", 0.95,
        _figure("long-writer", "kept")),
    Bar("long-retried", "pinned by a reader, each job tried twice: last window / first", ">=", 0.95,
        _figure("long-retried", "kept")),
    Bar("long-retried-writer", "pinned by an idle writer, each job tried twice: last / first", ">=",
        0.95, _figure("long-retried-writer", "kept")),
    Bar("long-keyed", "pinned by a reader, jobs with serial keys: last window / first", ">=", 0.95,
        _figure("long-keyed", "kept")),
    Bar("long-keyed-writer", "pinned by an idle writer, jobs with serial keys: last / first", ">=",
        0.95, _figure("long-keyed-writer", "kept")),
    Bar("long-limited", "pinned by a reader, jobs with a rate limit: last window / first", ">=",
        0.95, _figure("long-limited", "kept")),
    Bar("long-limited-writer", "pinned by an idle writer, jobs with a rate limit: last / first",
        ">=", 0.95, _figure("long-limited-writer", "kept")),
    Bar("long-dump", "pg_dump holds every table: last window / first", ">=", 0.95,
        _figure("long-dump", "kept")),
    Bar("obstacle-deep", "1,000,000 ready: rate / without", ">=", 0.95, _figure("deep", "kept")),
    Bar("obstacle-tomorrow", "100,000 for tomorrow, first in order: rate / without", ">=", 0.95,
        _figure("tomorrow", "kept")),
    Bar("obstacle-keys", "10,000 behind a busy serial key: rate / without", ">=", 0.95,
        _figure("busy", "kept")),
    Bar("obstacle-161-keys", "the same, of jobs of 160 other serial keys", ">=", 0.95,
        _figure("busy-keys", "kept")),
    Bar("noop-before", "no-op of jobs that use no feature / before there were any", ">=", 0.97,
        _of("wsup-before", "unused", "rate")),
    Bar("keys", "1,000 serial keys / plain jobs", ">=", 0.5, _figure("keys", "kept")),
    Bar("retention", "10,000,000 finished jobs are removed: rate / without", ">=", 0.9,
        _figure("retention", "kept")),
    Bar("scale-collapse", "20 supervisors / the best number of them", ">=", 0.9,
        _scaled("rates", lambda rates: rates[-1] / max(rates), min)),
    Bar("scale-cpu", "CPU of the database a job, 20 supervisors / one", "<=", 1.8,
        _scaled("server_us", lambda each: each[-1] / each[0], max)),
    Bar("idle-statements", "idle, statements a minute", "<=", 20, _figure("idle", "statements"),
        ",.0f"),
    Bar("idle-cpu", "idle, CPU ms of the workers a minute (60: a thousandth of a core)", "<=", 60,
        _figure("idle", "worker_ms"), ",.0f"),
    Bar("idle-memory", "8 idle subworkers with numpy / one such interpreter, PSS", "<=", 1.5,
        _figure("memory", "rate")),
    Bar("idle-memory-template", "the same, with the template", "<=", 1.9,
        _figure("memory", "template")),
    Bar("idle-memory-async", "of an app with async tasks, too", "<=", 1.5,
        _figure("memory-async", "rate")),
    Bar("idle-memory-async-template", "the same, with the template", "<=", 1.9,
        _figure("memory-async", "template")),
    *HTTP_BARS,
)  # fmt: skip
