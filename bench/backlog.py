"""End to end: a paused supervisor, a backlog, and the time from "go" to the last outcome.

The rate of `wsup start` is taken from the moment it is told to resume, until the moment that stands
in the last outcome, both by the database's clock: so waking up, the first pull and the last commit
count. The harness sleeps meanwhile, but for one look-up by primary key every few milliseconds.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from .app import noop
from .cost import Cost, Meter
from .errors import BenchError
from .statements import statement

if TYPE_CHECKING:
    import psycopg

    from .supervisor import Supervisor

    Connection = psycopg.Connection[tuple[Any, ...]]

#: Seconds without an end after which jobs must have been lost.
PATIENCE = 120.0
#: Seconds between two looks for the last outcome.
LOOK_AGAIN = 0.02


class Drained(NamedTuple):
    """What it took."""

    #: Jobs a second, from "go" to the last outcome.
    rate: float
    #: Jobs a second, from the first outcome to the last one.
    steady: float
    #: Rows a second of the `enqueue_many` that made the backlog.
    enqueued: float
    cost: Cost


def drain(connection: Connection, supervisor: Supervisor, jobs: int) -> Drained:
    """Enqueue `jobs` jobs while the supervisor pauses, then let it go."""
    supervisor.pause()
    items = [(number,) for number in range(jobs)]
    started = time.perf_counter()
    ids = [job.id for job in noop.enqueue_many(items)]
    enqueued = jobs / (time.perf_counter() - started)
    connection.execute(statement("settle_disk"))
    connection.execute(statement("checkpoint"))

    meter = Meter(connection, supervisor)
    began = one(connection, "clock")[0]
    supervisor.resume()
    await_end(connection, ids[-1])
    cost = meter.read()

    supervisor.check_alive()
    found, succeeded, whole, steady = one(connection, "outcomes", began, ids[0], ids[-1])
    if (found, succeeded) != (jobs, jobs):
        raise BenchError(f"{jobs} jobs have {found} outcomes, {succeeded} of them good")
    return Drained(jobs / whole, jobs / steady, enqueued, cost)


def await_end(connection: Connection, last: int) -> None:
    """Until the last job has its outcome, and then until no job is ready or claimed any more."""
    deadline = time.monotonic() + PATIENCE
    for look in ("has_outcome", "is_settled"):
        while not one(connection, look, last)[0]:
            if time.monotonic() > deadline:
                raise BenchError(f"jobs up to {last} have not ended within {PATIENCE:g} s")
            time.sleep(LOOK_AGAIN)


def one(connection: Connection, name: str, *values: object) -> tuple[Any, ...]:
    row = connection.execute(statement(name), values).fetchone()
    assert row is not None
    return row
