"""The bare baseline for idle latency: NOTIFY, one committed pull, and nothing else.

Run by hand with `python -m bench.reference.bare DSN`.
"""

from __future__ import annotations

import multiprocessing
import select
import sys
import time
from statistics import median
from typing import TYPE_CHECKING

from .database import QUEUE, TASK, connect, create, statement

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

LISTENER = 1

#: Rounds that are played but not reported: plans, catalogue caches and first pages.
WARM_UP = 20

#: Seconds; a wake-up that takes longer was lost.
PATIENCE = 10.0

NANOSECONDS = 1_000_000_000

#: Seconds of quiet before each enqueue. Without it nothing here is ever idle: processors and caches
#: stay warm from the previous round, as they don't in a system that waits for its next job.
QUIET = 0.015


def latency(dsn: str, n: int = 200) -> list[float]:
    """Seconds from the reply to each of `n` enqueues' COMMIT to the start of its handler."""
    create(dsn, jobs=0)
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    listener = spawn.Process(target=listen, args=(dsn, n + WARM_UP, theirs), daemon=True)
    listener.start()
    theirs.close()
    try:
        _hear(ours)
        return _enqueue(dsn, n + WARM_UP, ours)[WARM_UP:]
    finally:
        listener.join(PATIENCE)
        listener.kill()


def listen(dsn: str, jobs: int, enqueuer: Connection) -> None:
    """Pull one job per wake-up, `jobs` times; tell the enqueuer when each handler would start."""
    with connect(dsn, autocommit=True) as connection:
        pull, libpq = connection.cursor(binary=True), connection.pgconn
        connection.execute(statement("listen"), prepare=False)
        wake_up = select.poll()
        wake_up.register(connection.fileno(), select.POLLIN)
        enqueuer.send(time.monotonic_ns())
        for _ in range(jobs):
            while not libpq.notifies():
                wake_up.poll()
                libpq.consume_input()
            pulled = pull.execute(statement("pull"), (1, [QUEUE], LISTENER)).fetchall()
            started = time.monotonic_ns()
            assert len(pulled) == 1, pulled
            enqueuer.send(started)


def _enqueue(dsn: str, jobs: int, listener: Connection) -> list[float]:
    """Enqueue one job at a time, each after the previous one was seen and a pause."""
    seconds = []
    with connect(dsn, autocommit=True) as connection:
        for _ in range(jobs):
            time.sleep(QUIET)
            connection.execute(statement("enqueue"), (TASK, QUEUE))
            committed = time.monotonic_ns()
            seconds.append((_hear(listener) - committed) / NANOSECONDS)
    return seconds


def _hear(listener: Connection) -> int:
    """The listener's next stamp."""
    if not listener.poll(PATIENCE):
        raise TimeoutError("the listener did not wake up")
    stamp = listener.recv()
    assert isinstance(stamp, int)
    return stamp


def main(dsn: str) -> None:
    """Print the spread in milliseconds."""
    milliseconds = sorted(1_000 * seconds for seconds in latency(dsn))
    print(
        f"p50 {median(milliseconds):.3f} ms, p95 {milliseconds[len(milliseconds) * 95 // 100]:.3f},"
        f" min {milliseconds[0]:.3f}, max {milliseconds[-1]:.3f}"
    )


if __name__ == "__main__":
    main(sys.argv[1])
