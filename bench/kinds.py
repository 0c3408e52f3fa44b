"""Jobs that wait for each other, or take turns, against plain ones: `python -m bench.kinds`.

Each kind is drained in turn by the same `wsup start` on the same server, with as many jobs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from wsup.config.embedded import EmbeddedError

from .app import app
from .backlog import await_end, one
from .errors import BenchError
from .rounds import tell
from .server import DATABASE, WORKER, Server
from .statements import statement
from .supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .backlog import Connection


class Kind(NamedTuple):
    """Jobs of one kind."""

    title: str
    #: Makes them; `groups` is for it to heed.
    fill: str
    groups: int
    #: The share of the plain rate that is asked for.
    bar: float | None = None


PLAIN = "plain"
KINDS = {
    PLAIN: Kind("plain jobs", "fill_plain", 1),
    "keys": Kind("1,000 serial keys", "fill_keys", 1000, 0.5),
    "fair": Kind("1 tenant, fair queue", "fill_fair", 1, 0.5),
    "tenants": Kind("1,000 tenants, fair queue", "fill_fair", 1000),
    "chains": Kind("1,000 chains", "fill_chains", 1000),
    "fans": Kind("10 fan-outs and fan-ins", "fill_fans", 10),
    "limits": Kind("at most 2,000 at once", "fill_limited", 2000),
    "rates": Kind("at most so many a second", "fill_paced", 1),
}


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.kinds", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; else all")
    parser.add_argument("--jobs", type=int, default=100_000, help="of each kind and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hosts", type=int, default=1, help="supervisors that drain them")
    return parser


def main() -> None:
    given = parser().parse_args()
    if unknown := set(given.kinds) - set(KINDS):
        sys.exit(f"no kind {', '.join(sorted(unknown))}: there are {', '.join(KINDS)}")
    try:
        with Server() as server, server.database(DATABASE):
            names = [PLAIN, *(given.kinds or KINDS)]
            folders = [server.folder / f"host{number}" for number in range(given.hosts)]
            rates = measure(server, folders, names, given.jobs, given.rounds)
    except (BenchError, EmbeddedError) as error:
        sys.exit(f"no figures: {error}")
    plain = statistics.median(rates[PLAIN])
    for name, found in rates.items():
        kind, rate = KINDS[name], statistics.median(found)
        bar = "" if kind.bar is None else f" (bar: {kind.bar:g})"
        print(f"{kind.title:<25} {rate:>8,.0f} jobs/s, {rate / plain:.2f} of plain{bar}")


def measure(
    server: Server, folders: Sequence[Path], names: Sequence[str], jobs: int, rounds: int
) -> dict[str, list[float]]:
    """Jobs a second of each kind, round by round, in a fresh database; a supervisor a folder."""
    rates: dict[str, list[float]] = {name: [] for name in names}
    with server.connect(DATABASE) as connection:
        app.database = server.dsn(DATABASE)
        try:
            dsn, variables = server.dsn(DATABASE, WORKER), {"WSUP_QUEUES": "default,fair"}
            with ExitStack() as stack:
                supervisors = []
                for folder in folders:
                    folder.mkdir(exist_ok=True)
                    host = Supervisor(dsn, folder, variables=variables)
                    supervisors.append(stack.enter_context(host))
                drain(connection, supervisors, KINDS[PLAIN], jobs // 10)
                for _ in range(rounds):
                    for name, found in rates.items():
                        found.append(drain(connection, supervisors, KINDS[name], jobs))
                        tell(f"{KINDS[name].title}: {found[-1]:,.0f} jobs/s")
        finally:
            app.close()
    return rates


def drain(
    connection: Connection, supervisors: Sequence[Supervisor], kind: Kind, jobs: int
) -> float:
    """Jobs a second, from "go" to the last outcome."""
    for supervisor in supervisors:
        supervisor.pause()
    values = {"jobs": jobs, "groups": kind.groups}
    row = connection.execute(statement(kind.fill), values).fetchone()
    assert row is not None
    first, last = row
    connection.execute(statement("settle_disk"))
    connection.execute(statement("checkpoint"))
    began = one(connection, "clock")[0]
    for supervisor in supervisors:
        supervisor.resume()
    await_end(connection, last)
    for supervisor in supervisors:
        supervisor.check_alive()
    found, succeeded, whole, _ = one(connection, "outcomes", began, first, last)
    if (found, succeeded) != (jobs, jobs):
        raise BenchError(f"{jobs} jobs have {found} outcomes, {succeeded} of them good")
    return jobs / float(whole)


if __name__ == "__main__":
    main()
