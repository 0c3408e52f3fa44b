"""Oban, embedded in a program; its client is asynchronous, so each enqueue runs a loop."""

import asyncio
import functools
import signal
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import older_python  # noqa: F401 - before oban
import orjson
import psycopg
import uvloop
from bench_peer import BODIES, DSN, SETTINGS, Args, Counts, Peer, as_async, run
from oban import Oban, Record, job
from oban._recorded import decode_recorded
from oban.schema import install
from psycopg.types.json import set_json_dumps, set_json_loads

QUEUE = "jobs"


def _recorded(body: Callable[..., Any]) -> Callable[..., Any]:
    """Its result is kept with the job."""

    @functools.wraps(body)
    async def recorded(*args: Any, **kwargs: Any) -> Record:
        return Record(await body(*args, **kwargs))

    return recorded


tasks = {name: job(queue=QUEUE)(_recorded(as_async(task.body))) for name, task in BODIES.items()}


class ObanPy(Peer):
    """Its jobs stay in their table, with their state; results are in `meta`."""

    def __init__(self) -> None:
        self.connection = psycopg.connect(DSN, autocommit=True)
        self.loop = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        # As `oban start` does.
        set_json_dumps(orjson.dumps)
        set_json_loads(orjson.loads)

    def prepare(self) -> None:
        self.loop.run(self._prepare())

    def enqueue(self, task: str, args: Args) -> None:
        self.loop.run(self.oban.enqueue(tasks[task].new(**args)))

    def enqueue_many(self, task: str, many: Sequence[Args]) -> None:
        self.loop.run(self.oban.enqueue_many(tasks[task].new(**args) for args in many))

    def enqueue_in_transaction(self, task: str, args: Args) -> None:
        self.loop.run(self._in_transaction(tasks[task].new(**args), args["number"]))

    def is_settled(self) -> bool:
        return bool(self.connection.execute(_statement("settled")).fetchone()[0])

    def counts(self) -> Counts:
        return Counts(*self.connection.execute(_statement("counts")).fetchone())

    def results(self) -> Iterable[Any]:
        found = self.connection.execute(_statement("results"))
        return (decode_recorded(row[0]) for row in found if row[0] is not None)

    def work(self) -> None:
        self.loop.run(_work())

    async def _prepare(self) -> None:
        pool = await Oban.create_pool(DSN)
        await install(pool)
        self.oban = Oban(pool=pool)
        self.own = await psycopg.AsyncConnection.connect(DSN, autocommit=True)

    async def _in_transaction(self, made: Any, number: int) -> None:
        async with self.own.transaction():
            await self.own.execute("INSERT INTO own VALUES (%s)", [number])
            await self.oban.enqueue(made, conn=self.own)


async def _work() -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    pool = await Oban.create_pool(DSN)
    async with Oban(pool=pool, queues={QUEUE: SETTINGS["queue"]}):
        await ended.wait()
    await pool.close()


def _statement(name: str) -> bytes:
    return Path(__file__).with_name(f"{name}.sql").read_bytes()


if __name__ == "__main__":
    run(ObanPy())
