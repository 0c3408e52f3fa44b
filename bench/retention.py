"""`python -m bench.retention`: the no-op rate while millions of finished jobs are removed."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from wsup.config.embedded import EmbeddedError

from . import backlog
from .app import app
from .errors import BenchError
from .rounds import tell
from .server import WORKER, Server
from .statements import statement
from .supervisor import Supervisor

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

#: The least that the rate may have, of what it is when nothing is removed.
BAR = 0.9
STATES = ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED")
OFF = {f"WSUP_RETENTION_{state}": "0" for state in STATES}
#: Seconds: a round begins after a tenth of that. The jobs of the drains are younger, for the most
#: part.
ON = OFF | {"WSUP_RETENTION_SUCCEEDED": "60"}
#: Seconds without a job being removed after which none will be.
PATIENCE = 60.0
#: Seconds between two looks whether it has begun.
LOOK_AGAIN = 0.05


@dataclass
class Rates:
    """Jobs a second, of each drain."""

    quiet: list[float] = field(default_factory=list)
    #: While jobs are removed, for so many seconds in all.
    busy: list[float] = field(default_factory=list)
    seconds: float = 0.0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.retention", description=__doc__)
    parser.add_argument("--finished", type=int, default=10_000_000, help="jobs to be removed")
    parser.add_argument("--jobs", type=int, default=200_000, help="jobs of each drain")
    parser.add_argument("--drains", type=int, default=4, help="without, in each turn")
    return parser


def main() -> None:
    given = parser().parse_args()
    try:
        rates = measure(given.finished, given.jobs, given.drains)
    except (BenchError, EmbeddedError) as error:
        sys.exit(f"no figures: {error}")
    quiet, busy = median(rates.quiet), median(rates.busy)
    print(f"nothing is removed: {quiet:,.0f} jobs/s, median of {len(rates.quiet)} drains")
    print(f"jobs are removed: {busy:,.0f} jobs/s, median of {len(rates.busy)} drains")
    print(f"removed meanwhile: {given.finished / rates.seconds:,.0f} jobs/s")
    print(f"ratio {busy / quiet:.3f} (bar: ≥ {BAR}): {'met' if busy >= BAR * quiet else 'MISSED'}")


def measure(finished: int, jobs: int, drains: int) -> Rates:
    """The rates with and without, in turns, so that the machine's other work tells on both."""
    with (
        Server() as server,
        server.database("measured") as database,
        server.connect(database) as connection,
    ):
        app.database = server.dsn(database)
        try:
            last = _fill(server.connect(database), finished)
            tell(f"{finished:,} finished jobs are there")
            rates = Rates()
            left = finished
            while left:
                _quiet(server, connection, jobs, drains, rates)
                left = _busy(server, connection, jobs, drains, rates, last)
            _quiet(server, connection, jobs, drains, rates)
            return rates
        finally:
            app.close()


def _fill(connection: Connection, finished: int) -> int:
    """Make them as supervisors would have left them; returns the number of the last one."""
    with connection:
        connection.execute(statement("without_triggers"))
        connection.execute(statement("fill_finished"), {"jobs": finished})
        return int(_one(connection, "last_job"))


def _quiet(server: Server, connection: Connection, jobs: int, drains: int, rates: Rates) -> None:
    dsn = server.dsn("measured", WORKER)
    with Supervisor(dsn, server.folder, variables=OFF) as supervisor:
        backlog.drain(connection, supervisor, jobs // 10)
        for _ in range(drains):
            rates.quiet.append(backlog.drain(connection, supervisor, jobs).rate)
            tell(f"nothing is removed: {rates.quiet[-1]:,.0f} jobs/s")


def _busy(
    server: Server, connection: Connection, jobs: int, drains: int, rates: Rates, last: int
) -> int:
    """Drain while jobs are removed, for a while; returns how many of them are left."""
    dsn = server.dsn("measured", WORKER)
    with Supervisor(dsn, server.folder, variables=ON) as supervisor:
        backlog.drain(connection, supervisor, jobs // 10)
        left = _await_removal(connection, last)
        began = time.monotonic()
        for _ in range(3 * drains):
            rate = backlog.drain(connection, supervisor, jobs).rate
            was, left = left, _one(connection, "finished_left", last)
            tell(f"{left:,} are left: {rate:,.0f} jobs/s")
            if left == was:
                raise BenchError(f"removing has stopped, with {left} left")
            if left or not rates.busy:  # they were being removed to the end of it
                rates.busy.append(rate)
            if not left:
                break
        rates.seconds += time.monotonic() - began
        return left


def _await_removal(connection: Connection, last: int) -> int:
    """Until it has begun; returns how many are left."""
    before = left = _one(connection, "finished_left", last)
    deadline = time.monotonic() + PATIENCE
    while left == before:
        if time.monotonic() > deadline:
            raise BenchError("nothing is removed")
        time.sleep(LOOK_AGAIN)
        left = _one(connection, "finished_left", last)
    return left


def _one(connection: Connection, name: str, *values: object) -> int:
    row = connection.execute(statement(name), values).fetchone()
    assert row is not None
    return int(row[0])


if __name__ == "__main__":
    main()
