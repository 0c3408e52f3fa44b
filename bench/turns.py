"""The loop: what the floor does, with wsup's own statements, connection and arrays.

One connection commits the last batch and pulls the next in one turn; no job is executed, every
result is null. The difference to the floor is what wsup's schema and its Python cost.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import uvloop

from wsup.sql.answers import Pull
from wsup.sql.settlement import SUCCEEDED, Entry, Over
from wsup.sql.source import PostgresSource

from .errors import BenchError
from .statements import statement

if TYPE_CHECKING:
    from wsup.sql.answers import Row

    from .server import Server

#: As in the floor, and the default of `wsup start`.
BATCH = 500
QUEUES = ["default"]


def measure(server: Server, jobs: int) -> float:
    """Jobs a second."""
    with server.database("measured") as database:
        with server.connect(database) as connection:
            connection.execute(statement("fill"), {"ready": jobs, "waiting": 0, "queues": 1})
            connection.execute(statement("settle_disk"))
            connection.execute(statement("checkpoint"))
        seconds = uvloop.run(_drain(server.dsn(database)))
        with server.connect(database) as connection:
            left = connection.execute(statement("check")).fetchone()
        if left != (jobs, jobs, 0, 0):
            raise BenchError(f"{jobs} jobs: outcomes, succeeded, claims, ready = {left}")
    return jobs / seconds


async def _drain(dsn: str) -> float:
    source = PostgresSource(dsn)
    await source.connect()
    await source.register(
        host="bench",
        pid=os.getpid(),
        version="0",
        queues=QUEUES,
        subworkers=0,
        lease=30.0,
        direct=False,
    )
    try:
        started = time.perf_counter()
        rows = (await source.turn([], Pull(QUEUES, BATCH))).rows
        while rows:
            turn = await source.turn(_succeeded(rows), Pull(QUEUES, BATCH))
            if turn.refused:
                raise BenchError(f"{turn.refused} results were refused")
            rows = turn.rows
        return time.perf_counter() - started
    finally:
        await source.leave()
        await source.close()


def _succeeded(rows: list[Row]) -> list[Entry]:
    """As gather would have put it, had subworkers reported null."""
    return [Over(row[0], row[1], row[2], SUCCEEDED, 0.0, 0) for row in rows]
