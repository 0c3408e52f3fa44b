"""One supervisor at full speed: for a while undisturbed, then reloaded again and again."""

from __future__ import annotations

import os
import time
from array import array
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from .. import machine
from ..errors import BenchError
from ..processes import family_seconds, machine_seconds
from ..server import WORKER, Server
from ..statements import statement
from ..supervisor import Supervisor
from .app import BOOKS, app, executions
from .feeder import Feeder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    import psycopg

    Connection = psycopg.Connection[Any]

APP = "bench.reload.app:app"
RELOADS = 20
#: Seconds without an end after which jobs must have been lost, and between two looks.
PATIENCE, LOOK_AGAIN = 120.0, 0.05


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The sizes of one run."""

    reloads: int = RELOADS
    #: Seconds without reloads: half of them before the reloads, half after.
    undisturbed: float = 30.0
    #: Seconds at full speed that are not counted: caches, plans, the means of how long a job takes.
    warm_up: float = 5.0
    #: Jobs that are always ahead: some seconds of work.
    depth: int = 60_000


QUICK = Plan(reloads=3, undisturbed=2.4, warm_up=0.5, depth=4_000)


class Counts(NamedTuple):
    """What became of the jobs."""

    enqueued: int
    executions: int
    #: Without an outcome, or never run.
    lost: int
    #: Executions beyond a job's first one, and outcomes beyond it.
    repeated: int
    #: Not succeeded, or not at the first attempt.
    failed: int


class Measured(NamedTuple):
    plan: Plan
    #: Jobs that ended in each whole second.
    undisturbed: list[int]
    reloading: list[int]
    #: Seconds that each reload took, from the signal to the line in the log.
    reloads: list[float]
    #: The fewest jobs that were seen ahead.
    least: int
    counts: Counts
    #: What others used of the machine's CPU meanwhile, in percent: without reloads, with them.
    others: tuple[float, float]
    #: Name and value, line by line.
    machine: list[tuple[str, str]]


class Part(NamedTuple):
    """A part of the run, by the database's clock."""

    began: datetime
    ended: datetime
    #: What others used of the machine's CPU, in percent.
    others: float


def measure(plan: Plan) -> Measured:
    """All of it, on a server that is gone afterwards."""
    with (
        Server() as server,
        server.database("measured") as database,
        server.connect(database) as connection,
    ):
        app.database = server.dsn(database)
        books = server.folder / "books"
        books.mkdir()
        try:
            parts, reloads, feeder = _run(plan, server, database, connection, books)
        finally:
            app.close()
        before, reloading, after = (_seconds(connection, part) for part in parts)
        others = (parts[0].others + parts[2].others) / 2, parts[1].others
        return Measured(
            plan,
            before + after,
            reloading,
            reloads,
            feeder.least,
            count(feeder.jobs, _ends(connection), executions(books)),
            others,
            machine.described(server.version(), server.home),
        )


def _run(
    plan: Plan, server: Server, database: str, connection: Connection, books: Path
) -> tuple[list[Part], list[float], Feeder]:
    dsn, variables = server.dsn(database, WORKER), {BOOKS: str(books)}
    reloads: list[float] = []
    with Supervisor(dsn, server.folder, app=APP, variables=variables) as supervisor:
        with Feeder(server, database, plan.depth) as feeder:
            time.sleep(plan.warm_up)
            parts = [
                _part(connection, (os.getpid(), server.pid), work)
                for work in (
                    lambda: time.sleep(plan.undisturbed / 2),
                    lambda: reloads.extend(supervisor.reload() for _ in range(plan.reloads)),
                    lambda: time.sleep(plan.undisturbed / 2),
                )
            ]
            feeder.check()
        _await_end(connection, feeder.jobs[-1])
    # Stopped by now: each subworker has left its book.
    return parts, reloads, feeder


def _part(connection: Connection, ours: Sequence[int], work: Callable[[], None]) -> Part:
    began, busy, used = _clock(connection), machine_seconds(), family_seconds(ours)
    work()
    others = machine_seconds() - busy - (family_seconds(ours) - used)
    ended = _clock(connection)
    available = (ended - began).total_seconds() * (os.cpu_count() or 1)
    return Part(began, ended, max(0.0, 100 * others / available))


def _clock(connection: Connection) -> datetime:
    row = connection.execute(statement("clock")).fetchone()
    assert row is not None
    now: datetime = row[0]
    return now


def _seconds(connection: Connection, part: Part) -> list[int]:
    rows = connection.execute(statement("jobs_a_second"), part[:2]).fetchall()
    if not rows:
        raise BenchError("a part of the run took less than a second")
    return [row[0] for row in rows]


def _await_end(connection: Connection, last: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while connection.execute(statement("is_settled"), [last]).fetchone() != (True,):
        if time.monotonic() > deadline:
            raise BenchError(f"jobs up to {last} have not ended within {PATIENCE:g} s")
        time.sleep(LOOK_AGAIN)


def _ends(connection: Connection) -> list[tuple[int, bool]]:
    return connection.execute(statement("ends")).fetchall()


def count(jobs: Sequence[int], ends: Sequence[tuple[int, bool]], ran: array[int]) -> Counts:
    """Compare what was enqueued, what has an outcome, and what was executed."""
    runs, outcomes = Counter(ran), Counter(job for job, _ in ends)
    numbers = {number for number in runs if 0 <= number < len(jobs)}
    lost = sum(1 for number, job in enumerate(jobs) if number not in runs or job not in outcomes)
    again = sum(runs.values()) - len(numbers) + sum(outcomes.values()) - len(outcomes)
    failed = sum(1 for _, is_good in ends if not is_good)
    return Counts(len(jobs), len(ran), lost, again, failed)
