"""Idle latency: from the return of an enqueue, which commits, to the start of its task.

The task's result is the time at which it started, on the clock that all processes share. The next
job is enqueued once the last one has its outcome and the supervisor sleeps again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .app import stamp
from .errors import BenchError
from .statements import statement

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

#: Jobs that are not counted, as many as in the reference: plans, catalogue caches, first pages.
WARM_UP = 20
#: Seconds after which a job must have been lost.
PATIENCE = 20.0
#: Seconds that the system is left alone before it is asked whether it sleeps.
ALONE, LOOK_AGAIN = 0.015, 0.002


def measure(connection: Connection, jobs: int) -> list[float]:
    """Milliseconds from enqueued to started, of `jobs` jobs one after the other."""
    return [_one(connection) for _ in range(WARM_UP + jobs)][WARM_UP:]


def _one(connection: Connection) -> float:
    job = stamp.enqueue()
    committed = time.monotonic_ns()
    deadline = time.monotonic() + PATIENCE
    while True:
        time.sleep(LOOK_AGAIN if time.monotonic() > deadline - PATIENCE + ALONE else ALONE)
        row = connection.execute(statement("is_asleep"), [job.id]).fetchone()
        if row is not None and row[0] is not None and row[1]:
            return (int(row[0]) - committed) / 1e6
        if time.monotonic() > deadline:
            raise BenchError(f"job {job.id} has no outcome, or the supervisor does not sleep")
