"""PgQueuer: workers on asyncpg, as its own benchmark; a synchronous client on psycopg."""

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pgqueuer
import psycopg
import uvloop
from bench_peer import BODIES, DSN, SETTINGS, Args, Counts, Peer, as_async, run
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver, SyncPsycopgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries, SyncQueries

#: Rows in one INSERT.
CHUNK = 10_000


class Pgqueuer(Peer):
    """A job leaves the queue as it ends, and a line of the log stays; results are not kept."""

    def __init__(self) -> None:
        self.connection = psycopg.connect(DSN, autocommit=True)
        self.queries = SyncQueries(SyncPsycopgDriver(self.connection))

    def prepare(self) -> None:
        asyncio.run(_prepare())

    def enqueue(self, task: str, args: Args) -> None:
        self.queries.enqueue(task, json.dumps(args).encode())

    def enqueue_many(self, task: str, many: Sequence[Args]) -> None:
        for first in range(0, len(many), CHUNK):
            payloads = [json.dumps(args).encode() for args in many[first : first + CHUNK]]
            count = len(payloads)
            self.queries.enqueue([task] * count, list[bytes | None](payloads), [0] * count)

    def enqueue_in_transaction(self, task: str, args: Args) -> None:
        with self.connection.transaction():
            self.connection.execute("INSERT INTO own VALUES (%s)", [args["number"]])
            self.enqueue(task, args)

    def enqueue_for_tomorrow(self, task: str, many: Sequence[Args]) -> None:
        for first in range(0, len(many), CHUNK):
            payloads = [json.dumps(args).encode() for args in many[first : first + CHUNK]]
            count = len(payloads)
            later = [timedelta(days=1)] * count
            named, given = [task] * count, list[bytes | None](payloads)
            self.queries.enqueue(named, given, [100] * count, later)

    def hold(self, task: str, args: Args) -> None:
        self.holder = psycopg.connect(DSN, autocommit=True)
        self.holder.execute("BEGIN")
        queries = SyncQueries(SyncPsycopgDriver(self.holder))
        queries.enqueue(task, json.dumps(args).encode())

    def release(self) -> None:
        self.holder.execute("COMMIT")
        self.holder.close()

    def is_settled(self) -> bool:
        return bool(self._row("settled")[0])

    def counts(self) -> Counts:
        return Counts(*self._row("counts"))

    def work(self) -> None:
        # What `pgq run` does.
        batch, most = SETTINGS["batch_size"], SETTINGS.get("max_concurrent_tasks")
        uvloop.run(pgqueuer.run(worker, batch_size=batch, max_concurrent_tasks=most))

    def _row(self, name: str) -> Any:
        query = Path(__file__).with_name(f"{name}.sql").read_bytes()
        return self.connection.execute(query).fetchone()


@asynccontextmanager
async def worker() -> AsyncIterator[PgQueuer]:
    """One connection, and all tasks."""
    connection = await asyncpg.connect(DSN)
    try:
        pgq = PgQueuer.from_asyncpg_connection(connection)
        for name, task in BODIES.items():
            pgq.entrypoint(name)(_handler(as_async(task.body)))
        yield pgq
    finally:
        await connection.close()


def _handler(body: Callable[..., Any]) -> Callable[[Job], Any]:
    @functools.wraps(body, assigned=["__name__"])
    async def handler(job: Job) -> None:
        assert job.payload is not None
        await body(**json.loads(job.payload))

    return handler


async def _prepare() -> None:
    connection = await asyncpg.connect(DSN)
    queries = Queries(AsyncpgDriver(connection))
    await queries.install()
    await queries.optimize_autovacuum()
    await connection.close()


if __name__ == "__main__":
    run(Pgqueuer())
