"""The pull on a deep table and on a shallow one.

Two databases are alike but for their backlog. Pulls of 500 alternate between them; only the pull
statement is timed, with its rows, inside of its transaction, so that no fsync evens the two out.
Every pull is settled and committed, and 500 new jobs are enqueued before each: both tables keep
their depth, and both see the same dead rows, as in real life.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wsup.sql import arrays
from wsup.sql.settlement import SUCCEEDED, Over, columns
from wsup.sql.statements import statement as product_statement

from .errors import BenchError
from .statements import statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from .figures import Figures
    from .plan import Plan
    from .server import Server

    Connection = psycopg.Connection[tuple[Any, ...]]

BATCH = 500
QUEUES = ["queue_0", "queue_1", "queue_2"]
SUPERVISOR = 1
#: Pulls from each table that are not counted: plans and caches.
WARM_UP = 5


def measure(server: Server, plan: Plan, figures: Figures) -> None:
    """Adds the milliseconds of every pull, as `deep` and `shallow`."""
    with (
        _filled(server, "measured", plan.deep_ready, plan.deep_waiting) as deep,
        _filled(server, "compared", plan.shallow_ready, 0) as shallow,
    ):
        for number in range(WARM_UP + plan.pulls):
            for name, connection in (("deep", deep), ("shallow", shallow)):
                seconds = _pull(connection)
                if number >= WARM_UP:
                    figures.add(name, seconds * 1000)


@contextmanager
def _filled(server: Server, name: str, ready: int, waiting: int) -> Iterator[Connection]:
    with server.database(name) as database, server.connect(database) as connection:
        _fill(connection, ready, waiting)
        connection.execute(statement("settle_disk"))
        connection.execute(statement("checkpoint"))
        connection.prepare_threshold = 0
        arrays.register(connection)
        yield connection


def _fill(connection: Connection, ready: int, waiting: int) -> None:
    sizes = {"ready": ready, "waiting": waiting, "queues": len(QUEUES)}
    connection.execute(statement("fill"), sizes)


def _pull(connection: Connection) -> float:
    _fill(connection, BATCH, 0)
    with connection.transaction():
        cursor = connection.cursor(binary=True)
        started = time.perf_counter()
        cursor.execute(statement("pull"), [SUPERVISOR, QUEUES, BATCH])
        rows = cursor.fetchall()
        seconds = time.perf_counter() - started
        if len(rows) != BATCH:
            raise BenchError(f"a pull of {BATCH} brought {len(rows)} jobs")
        entries = [Over(row[0], row[1], row[2], SUCCEEDED, 0.0, 0) for row in rows]
        refused = connection.execute(product_statement("settle"), columns(SUPERVISOR, entries))
        if refused.fetchone() != (0,):
            raise BenchError("results of pulled jobs were refused")
    return seconds
