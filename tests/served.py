"""A server within the test's own event loop, and a supervisor's source that talks to it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import uvicorn

from wsup.config.settings import Settings
from wsup.config.tokens import Grant, Keys
from wsup.remote.source import HttpSource
from wsup.remote.token import Token
from wsup.server.agent import Agent
from wsup.server.core import Core
from wsup.server.guard import Guard
from wsup.server.hurry import Hurried
from wsup.server.web import Web
from wsup.sql.answers import Row
from wsup.sql.serving import Serving
from wsup.sql.session import Session

T = TypeVar("T")
MOST_BYTES = 64 << 20
QUEUES = ("default",)


class Given(Token):
    """A token that is in no file."""

    def __init__(self, token: str) -> None:
        super().__init__(None)
        self._token = token

    def read(self) -> str:
        return self._token


@asynccontextmanager
async def serving(
    database: str,
    identify: Callable[[bytes | None], Agent] = lambda _: Agent("anybody"),
    most_bytes: int = MOST_BYTES,
) -> AsyncIterator[tuple[str, Core]]:
    """The URL of a server, and what is behind it."""
    core = Core(Settings(), database, database, most_bytes)
    await core.start()
    web = Web(core.desk, identify, most_bytes=most_bytes)
    config = uvicorn.Config(web, port=0, http=Hurried, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    running = asyncio.ensure_future(server._serve())
    try:
        while not server.started:
            await asyncio.sleep(0)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}", core
    finally:
        server.should_exit = True
        core.ears.end_all()
        await running
        await core.stop()


def source_at(
    url: str,
    *,
    token: str = "",
    rows: list[Row] | None = None,
    heard: list[str] | None = None,
    lost: list[str] | None = None,
) -> HttpSource:
    """A source; what it brings and hears by itself is added to these lists."""
    return HttpSource(
        [url],
        token=Given(token),
        on_rows=(rows if rows is not None else []).extend,
        on_heard=(heard if heard is not None else []).append,
        on_lost=(lost if lost is not None else []).append,
    )


def enter(database: str, supervisor: int, agent: str = "anybody", lease: float = 30) -> None:
    """Have a supervisor of this number registered, if there is none yet."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO wsup.supervisor"
            " (id, host, pid, version, queues, subworkers, lease, direct, agent)"
            " OVERRIDING SYSTEM VALUE VALUES (%s, 'there', 1, '0', '{}', 1, %s, false, %s)"
            " ON CONFLICT DO NOTHING",
            [supervisor, lease, agent],
        )
        connection.execute("SELECT setval(pg_get_serial_sequence('wsup.supervisor', 'id'), 1000)")


@asynccontextmanager
async def http_source(database: str) -> AsyncIterator[Any]:
    """A connected source of supervisor 1."""
    await asyncio.to_thread(enter, database, 1)
    async with serving(database) as (url, _):
        source = source_at(url)
        await source.connect()
        source.supervisor = 1
        try:
            yield source
        finally:
            await source.close()


async def enough(condition: Callable[[], Any]) -> None:
    """Wait until it is true."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def with_server(database: str, work: Callable[[str], Awaitable[T]], **options: Any) -> T:
    async def run() -> T:
        async with serving(database, **options) as (url, _):
            return await work(url)

    return asyncio.run(run())


async def agent(url: str, number: int, **options: Any) -> HttpSource:
    """A connected source of supervisor `number`."""
    source = source_at(url, **options)
    await source.connect()
    source.supervisor = number
    return source


def grant(
    agent: str,
    *,
    lives: float = 3600,
    queues: tuple[str, ...] | None = None,
    verbs: tuple[str, ...] = ("run", "schedule"),
) -> Grant:
    now = time.time()
    return Grant(f"id of {agent}", agent, queues, verbs, now, now + lives)


def with_guard(
    database: str, keys: Keys, work: Callable[[str], Awaitable[T]], file: Path | None = None
) -> T:
    guard = Guard(keys, Serving(Session(database)), file)
    return with_server(database, work, identify=guard.identify)
