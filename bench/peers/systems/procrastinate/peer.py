"""Procrastinate, with psycopg."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import procrastinate
import psycopg
from bench_peer import BODIES, DSN, SETTINGS, Args, Counts, Peer, as_async, run

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=DSN))
for name, task in BODIES.items():
    # A sync task goes to a thread; what doesn't need that is told to be async.
    app.task(name=name)(task.body if name == "cpu" else as_async(task.body))


class Procrastinate(Peer):
    """Its jobs stay in their table, with their state; results are not kept."""

    def __init__(self) -> None:
        self.connection = psycopg.connect(DSN, autocommit=True)

    def prepare(self) -> None:
        app.open()  # a synchronous client's pool; one connection of it is used
        app.schema_manager.apply_schema()

    def enqueue(self, task: str, args: Args) -> None:
        app.configure_task(task).defer(**args)

    def enqueue_many(self, task: str, many: Sequence[Args]) -> None:
        app.configure_task(task).batch_defer(*many)

    def enqueue_in_transaction(self, task: str, args: Args) -> None:
        with self.connection.transaction():
            self.connection.execute("INSERT INTO own VALUES (%s)", [args["number"]])
            app.configure_task(task, connection=self.connection).defer(**args)

    def enqueue_for_tomorrow(self, task: str, many: Sequence[Args]) -> None:
        app.configure_task(task, schedule_in={"days": 1}, priority=100).batch_defer(*many)

    def enqueue_keyed(self, task: str, many: Sequence[Args], keys: Sequence[str]) -> None:
        groups: dict[str, list[Args]] = {}
        for args, key in zip(many, keys, strict=True):
            groups.setdefault(key, []).append(args)
        for key, group in groups.items():
            app.configure_task(task, lock=key).batch_defer(*group)

    def hold(self, task: str, args: Args) -> None:
        self.holder = psycopg.connect(DSN)
        app.configure_task(task, connection=self.holder).defer(**args)

    def release(self) -> None:
        self.holder.commit()
        self.holder.close()

    def is_settled(self) -> bool:
        return bool(self._row("settled")[0])

    def counts(self) -> Counts:
        return Counts(*self._row("counts"))

    def work(self) -> None:
        asyncio.run(_work())

    def _row(self, name: str) -> Any:
        query = Path(__file__).with_name(f"{name}.sql").read_bytes()
        return self.connection.execute(query).fetchone()


async def _work() -> None:
    async with app.open_async():
        await app.run_worker_async(concurrency=SETTINGS["concurrency"])


if __name__ == "__main__":
    run(Procrastinate())
