"""Serial keys against jobs without: `python -m bench.keys`, from the root of the repository.

100,000 jobs of 1,000 keys, each of which runs one at a time, and as many without a key, in turn, by
the same `wsup start` on the same server.
"""

from __future__ import annotations

import statistics
import sys
from typing import TYPE_CHECKING

from .app import app
from .backlog import await_end, one
from .errors import BenchError
from .server import WORKER, Server
from .statements import statement
from .supervisor import Supervisor

if TYPE_CHECKING:
    from .backlog import Connection

JOBS, KEYS = 100_000, 1_000
ROUNDS = 3
#: The share of the rate without keys that is asked for.
BAR = 0.5


def drain(connection: Connection, supervisor: Supervisor, keys: int | None) -> float:
    """Jobs a second, from "go" to the last outcome."""
    supervisor.pause()
    row = connection.execute(statement("fill_keys"), {"jobs": JOBS, "keys": keys}).fetchone()
    assert row is not None
    first, last = row
    connection.execute(statement("settle_disk"))
    connection.execute(statement("checkpoint"))
    began = one(connection, "clock")[0]
    supervisor.resume()
    await_end(connection, last)
    supervisor.check_alive()
    found, succeeded, whole, _ = one(connection, "outcomes", began, first, last)
    if (found, succeeded) != (JOBS, JOBS):
        raise BenchError(f"{JOBS} jobs have {found} outcomes, {succeeded} of them good")
    return JOBS / float(whole)


def main() -> None:
    rates: dict[int | None, list[float]] = {None: [], KEYS: []}
    with (
        Server() as server,
        server.database("measured") as database,
        server.connect(database) as connection,
    ):
        app.database = server.dsn(database)
        with Supervisor(server.dsn(database, WORKER), server.folder) as supervisor:
            drain(connection, supervisor, None)
            for _ in range(ROUNDS):
                for keys, found in rates.items():
                    found.append(drain(connection, supervisor, keys))
                    print(f"  {keys or 'no'} keys: {found[-1]:,.0f} jobs/s", file=sys.stderr)
    plain, keyed = statistics.median(rates[None]), statistics.median(rates[KEYS])
    print(f"without keys   {plain:>8,.0f} jobs/s")
    print(f"{KEYS:,} keys     {keyed:>8,.0f} jobs/s, {keyed / plain:.2f} of it (bar: {BAR:g})")


if __name__ == "__main__":
    main()
