"""The statements of the road, called by hand: a supervisor's SQL without the supervisor."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import psycopg

from wsup.sql.answers import Row
from wsup.sql.settlement import SUCCEEDED, Back, Entry, Failure, Over
from wsup.sql.source import PostgresSource
from wsup.supervisor.source import Source

T = TypeVar("T")
Connection = psycopg.Connection[Any]


def fill(connection: Connection, n: int, queue: str = "default", priority: int = 0) -> list[int]:
    """Enqueue `n` jobs in one statement; returns their ids."""
    rows = connection.execute(
        "INSERT INTO wsup.job (task, queue, priority) SELECT 'noop', %s, %s"
        "  FROM generate_series(1, %s) RETURNING id",
        [queue, priority, n],
    )
    return [row[0] for row in rows]


def pull(
    connection: Connection, n: int, queues: Sequence[str] = ("default",), supervisor: int = 1
) -> list[Row]:
    return connection.execute(
        "SELECT * FROM wsup.pull(%s, %s, %s)", [supervisor, list(queues), n]
    ).fetchall()


def succeeded(row: Row, result: bytes | None = None) -> Entry:
    return Over(row[0], row[1], row[2], SUCCEEDED, 0.001, 0, result)


def failed(row: Row, retry_after: float | None = None) -> Entry:
    return Failure(row[0], row[1], row[2], 0, "E", "m", None, 0.001, retry_after)


def put_off(row: Row, delay: float | None = None) -> Entry:
    return Back(row[0], row[1], row[2], delay)


@asynccontextmanager
async def postgres_source(database: str) -> AsyncIterator[Any]:
    """A connected source of supervisor 1."""
    source = PostgresSource(database)
    await source.connect()
    source.supervisor = 1
    try:
        yield source
    finally:
        await source.close()


#: What `with_source` opens; the fixture `each_source` has it open a server's, too.
opening = [postgres_source]


def with_source(database: str, work: Callable[[Any], Awaitable[T]]) -> T:
    """Do something with a connected source of supervisor 1."""

    async def run() -> T:
        async with opening[-1](database) as source:
            return await work(source)

    return asyncio.run(run())


def settle(database: str, *entries: Entry) -> int:
    """Commit entries as supervisor 1; returns how many were refused."""

    async def work(source: Source) -> int:
        return (await source.turn(entries, None)).refused

    return with_source(database, work)


def places(connection: Connection, job: int) -> list[str]:
    """Everywhere a job stands; of the states of a job, exactly one must hold."""
    rows = connection.execute(
        """
        SELECT 'ready' FROM wsup.ready WHERE job = %(job)s
        UNION ALL SELECT 'waiting' FROM wsup.waiting WHERE job = %(job)s
        UNION ALL SELECT 'blocked' FROM wsup.blocked WHERE job = %(job)s
        UNION ALL SELECT 'claimed' FROM wsup.claim WHERE jobs @> %(job)s::bigint
        UNION ALL SELECT state::text FROM wsup.outcome WHERE job = %(job)s
        """,
        {"job": job},
    )
    return [row[0] for row in rows]
