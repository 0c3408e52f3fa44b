"""Awa: a core in Rust that calls async Python handlers; its synchronous client enqueues."""

import asyncio
import dataclasses
import functools
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import awa
import psycopg
import uvloop
from awa.bridge import insert_job_sync
from bench_peer import BODIES, DSN, SETTINGS, Args, Counts, Peer, as_async, run

QUEUE = "jobs"
#: Jobs in one COPY.
CHUNK = 10_000


@dataclasses.dataclass
class Number:
    """What a job is given."""

    number: int


@dataclasses.dataclass
class Text(Number):
    """A large one, more."""

    text: str


TYPES = {name: Text if name == "large" else Number for name in BODIES}


class Awa(Peer):
    """A job that is done is a line of a batch, and later on a count; results are not kept."""

    def __init__(self) -> None:
        self.connection = psycopg.connect(DSN, autocommit=True)
        self.client = awa.Client(_url())

    def prepare(self) -> None:
        self.client.migrate()
        # What a worker of a fresh installation would do as it starts.
        self.client.install_queue_storage(schema="awa")

    def enqueue(self, task: str, args: Args) -> None:
        self.client.insert(TYPES[task](**args), kind=task, queue=QUEUE)

    def enqueue_many(self, task: str, many: Sequence[Args]) -> None:
        for first in range(0, len(many), CHUNK):
            jobs = [TYPES[task](**args) for args in many[first : first + CHUNK]]
            self.client.enqueue_many_copy(jobs, kind=task, queue=QUEUE)

    def enqueue_in_transaction(self, task: str, args: Args) -> None:
        with self.connection.transaction():
            self.connection.execute("INSERT INTO own VALUES (%s)", [args["number"]])
            insert_job_sync(self.connection, TYPES[task](**args), kind=task, queue=QUEUE)

    def is_settled(self) -> bool:
        return bool(self._row("settled")[0])

    def counts(self) -> Counts:
        return Counts(*self._row("counts"))

    def work(self) -> None:
        uvloop.run(_work())

    def _row(self, name: str) -> Any:
        query = Path(__file__).with_name(f"{name}.sql").read_bytes()
        return self.connection.execute(query).fetchone()


async def _work() -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    client = awa.AsyncClient(_url())
    for name, task in BODIES.items():
        client.task(TYPES[name], kind=name, queue=QUEUE)(_handler(as_async(task.body)))
    await client.start([{"name": QUEUE, **SETTINGS["queue"]}])
    await ended.wait()
    await client.shutdown()
    await client.close()


def _handler(body: Callable[..., Any]) -> Callable[[Any], Any]:
    @functools.wraps(body, assigned=["__name__"])
    async def handler(job: Any) -> None:
        await body(**vars(job.args))

    return handler


def _url() -> str:
    """Its driver wants the socket's folder where a host's name would be."""
    parts = urlsplit(DSN)
    host, port = (parse_qs(parts.query)[name][0] for name in ("host", "port"))
    return f"postgresql://{parts.username}@{host.replace('/', '%2F')}:{port}{parts.path}"


if __name__ == "__main__":
    run(Awa())
