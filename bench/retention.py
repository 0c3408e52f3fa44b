"""`python -m bench.retention`: the no-op rate while millions of finished jobs are removed."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from wsup.config.embedded import EmbeddedError

from . import backlog
from .app import app
from .errors import BenchError
from .rounds import tell
from .server import DATABASE, WORKER, Server
from .statements import statement
from .supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

#: Drains without, in each turn, and three times as many with.
DRAINS = 4
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


class Drain(NamedTuple):
    """How jobs are drained, again and again."""

    dsn: str
    folder: Path
    connection: Connection
    jobs: int
    #: How often, in each turn.
    drains: int

    @contextmanager
    def supervisor(self, variables: dict[str, str]) -> Iterator[Supervisor]:
        """One that is warm."""
        with Supervisor(self.dsn, self.folder, variables=variables) as supervisor:
            backlog.drain(self.connection, supervisor, self.jobs // 10)
            yield supervisor

    def rate(self, supervisor: Supervisor) -> float:
        return backlog.drain(self.connection, supervisor, self.jobs).rate


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.retention", description=__doc__)
    parser.add_argument("--finished", type=int, default=10_000_000, help="jobs to be removed")
    parser.add_argument("--jobs", type=int, default=200_000, help="jobs of each drain")
    parser.add_argument("--drains", type=int, default=DRAINS, help="without, in each turn")
    return parser


def main() -> None:
    given = parser().parse_args()
    try:
        with Server() as server, server.database(DATABASE):
            rates = measure(server, server.folder, given.finished, given.jobs, given.drains)
    except (BenchError, EmbeddedError) as error:
        sys.exit(f"no figures: {error}")
    quiet, busy = median(rates.quiet), median(rates.busy)
    print(f"nothing is removed: {quiet:,.0f} jobs/s, median of {len(rates.quiet)} drains")
    print(f"jobs are removed: {busy:,.0f} jobs/s, median of {len(rates.busy)} drains")
    print(f"removed meanwhile: {given.finished / rates.seconds:,.0f} jobs/s")
    print(f"ratio {busy / quiet:.3f} (bar: ≥ {BAR}): {'met' if busy >= BAR * quiet else 'MISSED'}")


def measure(server: Server, folder: Path, finished: int, jobs: int, drains: int = DRAINS) -> Rates:
    """The rates with and without, in turns, so that the machine's other work tells on both."""
    with server.connect(DATABASE) as connection:
        app.database = server.dsn(DATABASE)
        try:
            last = _fill(server.connect(DATABASE), finished)
            tell(f"{finished:,} finished jobs are there")
            drain = Drain(server.dsn(DATABASE, WORKER), folder, connection, jobs, drains)
            rates = Rates()
            left = finished
            while left:
                _quiet(drain, rates)
                left = _busy(drain, rates, last)
            _quiet(drain, rates)
            return rates
        finally:
            app.close()


def _fill(connection: Connection, finished: int) -> int:
    """Make them as supervisors would have left them; returns the number of the last one."""
    with connection:
        connection.execute(statement("without_triggers"))
        connection.execute(statement("fill_finished"), {"jobs": finished})
        return int(_one(connection, "last_job"))


def _quiet(drain: Drain, rates: Rates) -> None:
    with drain.supervisor(OFF) as supervisor:
        for _ in range(drain.drains):
            rates.quiet.append(drain.rate(supervisor))
            tell(f"nothing is removed: {rates.quiet[-1]:,.0f} jobs/s")


def _busy(drain: Drain, rates: Rates, last: int) -> int:
    """Drain while jobs are removed, for a while; returns how many of them are left."""
    connection = drain.connection
    with drain.supervisor(ON) as supervisor:
        left = _await_removal(connection, last)
        began = removed = time.monotonic()
        for _ in range(3 * drain.drains):
            rate = drain.rate(supervisor)
            was, left = left, _one(connection, "finished_left", last)
            tell(f"{left:,} are left: {rate:,.0f} jobs/s")
            if left < was:
                removed = time.monotonic()
            elif time.monotonic() > removed + PATIENCE:
                raise BenchError(f"removing has stopped, with {left:,} left")
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
