"""`python -m bench.toggle`: a queue with a backlog becomes fair, and stops being so: how long that
takes, with which locks, and how long others wait meanwhile."""

from __future__ import annotations

import argparse
import threading
import time
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from wsup.sql.answers import subscribed
from wsup.sql.arrays import register
from wsup.sql.settlement import SUCCEEDED, Over, columns
from wsup.sql.statements import statement as of_wsup

from .server import Server
from .statements import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

#: By case, how many keys the jobs of the backlog have; 0: none at all.
CASES = {"no keys": 0, "1,000 keys": 1000, "one key": 1}
#: Jobs that a pull asks for, and seconds between two statements of each bystander.
BATCH, PAUSE = 50, 0.01


class Bystander(threading.Thread):
    """Does something again and again, and notes how long it took."""

    def __init__(self, connection: Connection, work: Callable[[Connection], object]) -> None:
        super().__init__(daemon=True)
        self.connection = connection
        self._work = work
        self._over = threading.Event()
        #: When each began, and how many seconds it took.
        self.took: list[tuple[float, float]] = []

    def run(self) -> None:
        while not self._over.wait(PAUSE):
            began = time.monotonic()
            self._work(self.connection)
            self.took.append((began, time.monotonic() - began))

    def longest(self, since: float, until: float = float("inf")) -> float:
        """Seconds, of those that began in that time."""
        return max((s for began, s in self.took if since <= began < until), default=0.0)

    def stop(self) -> None:
        self._over.set()
        self.join()


class Locks(Bystander):
    """Looks which locks a backend holds on wsup's tables, and how many wait for it."""

    def __init__(self, connection: Connection, pid: int) -> None:
        super().__init__(connection, self._look)
        self._pid = pid
        self.seen: Counter[str] = Counter()
        self.most_waiting = 0

    def _look(self, connection: Connection) -> None:
        for name, mode in connection.execute(statement("locks_held"), [self._pid]):
            self.seen[f"{mode} on {name}"] += 1
        row = connection.execute(statement("locks_waited_for"), [self._pid]).fetchone()
        self.most_waiting = max(self.most_waiting, row[0] if row else 0)


class Toggled(NamedTuple):
    seconds: float
    #: How long a pull from the queue took at most that began meanwhile, and after the change; and a
    #: turn in another queue, and an enqueue.
    pull: float
    pull_after: float
    other: float
    enqueue: float
    pulled: int
    waiting: int
    locks: list[str]


def turn(connection: Connection, supervisor: int, queue: str) -> int:
    """Pull a batch, and commit it as done; returns how many jobs that were."""
    given = [supervisor, subscribed([queue]), BATCH]
    rows = connection.execute(statement("pull_some"), given).fetchall()
    if rows:
        over = [Over(claim, job, n, SUCCEEDED, 0.0, 0, None) for claim, job, n in rows]
        connection.execute(of_wsup("settle"), columns(supervisor, over))
    return len(rows)


def toggle(server: Server, database: str, *, fair: bool) -> Toggled:
    """While others pull and enqueue."""
    pulled = 0

    def pull(connection: Connection) -> None:
        nonlocal pulled
        pulled += turn(connection, 1, "mail")

    def other(connection: Connection) -> None:
        connection.execute(statement("fill_queue"), ["other", 0, 1])
        turn(connection, 2, "other")

    def enqueue(connection: Connection) -> None:
        connection.execute(statement("fill_queue"), ["mail", 1, 1])

    with ExitStack() as stack:

        def connect() -> Connection:
            return stack.enter_context(server.connect(database))

        mine = connect()
        pulls, turns, writes = (Bystander(connect(), work) for work in (pull, other, enqueue))
        locks = Locks(connect(), mine.info.backend_pid)
        threads = (pulls, turns, writes, locks)
        for thread in threads:
            register(thread.connection)
            thread.start()
        time.sleep(0.5)
        pulled = 0
        began = time.monotonic()
        mine.execute(statement("set_fair"), ["mail", fair])
        ended, meanwhile = time.monotonic(), pulled
        time.sleep(0.5)
        for thread in threads:
            thread.stop()
    return Toggled(
        ended - began, pulls.longest(began, ended), pulls.longest(ended), turns.longest(began),
        writes.longest(began), meanwhile, locks.most_waiting, sorted(locks.seen),
    )  # fmt: skip


def measure(jobs: int) -> Iterator[tuple[str, Toggled]]:
    with Server() as server:
        for case, keys in CASES.items():
            with server.database("measured") as database:
                with server.connect(database) as connection:
                    connection.execute(statement("fill_queue"), ["mail", keys, jobs])
                    connection.execute("VACUUM ANALYZE")
                yield f"{case}, to fair", toggle(server, database, fair=True)
                yield f"{case}, and back", toggle(server, database, fair=False)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.toggle", description=__doc__)
    parser.add_argument("--jobs", type=int, default=200_000, help="the backlog (200,000)")
    print("| backlog | s | a pull | the next | in another queue | an enqueue | pulled meanwhile |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    locks: set[str] = set()
    waiting = 0
    for case, t in measure(parser.parse_args().jobs):
        waits = " | ".join(f"{wait:.2f}" for wait in (t.pull, t.pull_after, t.other, t.enqueue))
        print(f"| {case} | {t.seconds:.1f} | {waits} | {t.pulled:,} |", flush=True)
        locks.update(t.locks)
        waiting = max(waiting, t.waiting)
    print(f"\nat most {waiting} waited for a lock of it; it held:", *sorted(locks), sep="\n  ")


if __name__ == "__main__":
    main()
