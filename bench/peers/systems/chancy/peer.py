"""Chancy: jobs are functions named by their place, here those of this module."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import uvloop
from bench_peer import BODIES, DSN, SETTINGS, Args, Counts, Peer, as_async, run
from chancy import Chancy, Job, Queue, Worker
from psycopg.rows import dict_row

QUEUE = "jobs"
log = logging.getLogger("chancy")
log.setLevel(logging.WARNING)

# The executor for async jobs takes no others; the one with processes runs them as they are.
if SETTINGS["executor"] == "Async":
    globals().update({name: as_async(task.body) for name, task in BODIES.items()})
else:
    globals().update({name: task.body for name, task in BODIES.items()})


class ChancyPeer(Peer):
    """Its jobs stay in their table, with their state; results are not kept."""

    def __init__(self) -> None:
        self.connection = psycopg.connect(DSN, autocommit=True)
        self.chancy = Chancy(DSN, log=log)

    def prepare(self) -> None:
        asyncio.run(_prepare())

    def enqueue(self, task: str, args: Args) -> None:
        self.chancy.sync_push(_job(task, args))

    def enqueue_many(self, task: str, many: Sequence[Args]) -> None:
        for _ in self.chancy.sync_push_many([_job(task, args) for args in many]):
            pass

    def enqueue_in_transaction(self, task: str, args: Args) -> None:
        with self.connection.transaction():
            self.connection.execute("INSERT INTO own VALUES (%s)", [args["number"]])
            with self.connection.cursor(row_factory=dict_row) as cursor:
                self.chancy.sync_push_many_ex(cursor, [_job(task, args)])

    def is_settled(self) -> bool:
        return bool(self._row("settled")[0])

    def counts(self) -> Counts:
        return Counts(*self._row("counts"))

    def work(self) -> None:
        uvloop.run(_work())

    def _row(self, name: str) -> Any:
        query = Path(__file__).with_name(f"{name}.sql").read_bytes()
        return self.connection.execute(query).fetchone()


def _job(task: str, args: Args) -> Job:
    return Job(func=f"peer.{task}", kwargs=args, queue=QUEUE)


async def _prepare() -> None:
    async with Chancy(DSN, log=log) as chancy:
        await chancy.migrate()
        executor = Chancy.Executor[SETTINGS["executor"]]
        await chancy.declare(Queue(name=QUEUE, executor=executor, **SETTINGS["queue"]))


async def _work() -> None:
    async with Chancy(DSN, log=log) as chancy, Worker(chancy) as worker:
        await worker.wait_for_shutdown()


if __name__ == "__main__":
    run(ChancyPeer())
