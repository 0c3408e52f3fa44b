"""DBOS: each job is a durable workflow of one function, in a queue; a client enqueues."""

import os
import signal
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy
from bench_peer import BODIES, DSN, SETTINGS, Args, Counts, Peer, run
from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions
from dbos._serialization import DefaultSerializer

QUEUE = "jobs"
VERSION = "1"
#: Jobs in one transaction.
CHUNK = 1000
#: What SQLAlchemy calls psycopg 3.
URL = DSN.replace("postgresql://", "postgresql+psycopg://", 1)

tasks = {name: DBOS.workflow(name=name)(task.body) for name, task in BODIES.items()}


class Dbos(Peer):
    """Workflows stay in their table, with their output."""

    def __init__(self) -> None:
        self.connection = psycopg.connect(DSN, autocommit=True)

    def prepare(self) -> None:
        DBOS(config=_config())
        DBOS.launch()  # migrates
        DBOS.register_queue(QUEUE, **SETTINGS["queue"])
        DBOS.destroy()
        self.client = DBOSClient(system_database_url=URL, application_name=NAME)
        self.engine = sqlalchemy.create_engine(URL)

    def enqueue(self, task: str, args: Args) -> None:
        self.client.enqueue(_options(task), **args)

    def enqueue_many(self, task: str, many: Sequence[Args]) -> None:
        for first in range(0, len(many), CHUNK):
            with self.engine.begin() as connection:
                for args in many[first : first + CHUNK]:
                    self.client.enqueue_in_transaction(connection, _options(task), **args)

    def enqueue_in_transaction(self, task: str, args: Args) -> None:
        with self.engine.begin() as connection:
            insert = sqlalchemy.text("INSERT INTO own VALUES (:number)")
            connection.execute(insert, {"number": args["number"]})
            self.client.enqueue_in_transaction(connection, _options(task), **args)

    def is_settled(self) -> bool:
        return bool(self.connection.execute(_statement("settled")).fetchone()[0])

    def counts(self) -> Counts:
        return Counts(*self.connection.execute(_statement("counts")).fetchone())

    def results(self) -> Iterable[Any]:
        read = DefaultSerializer().deserialize
        found = self.connection.execute(_statement("results"))
        return (read(row[0]) for row in found if row[0] is not None)

    def work(self) -> None:
        ended = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
        DBOS(config=_config())
        DBOS.launch()
        ended.wait()
        DBOS.destroy()


NAME = "measured"


def _config() -> DBOSConfig:
    return DBOSConfig(
        name=NAME,
        system_database_url=URL,
        application_version=VERSION,
        executor_id=str(os.getpid()),
        max_executor_threads=SETTINGS["max_executor_threads"],
        log_level="WARNING",
    )


def _options(task: str) -> EnqueueOptions:
    return EnqueueOptions(workflow_name=task, queue_name=QUEUE, app_version=VERSION)


def _statement(name: str) -> bytes:
    return Path(__file__).with_name(f"{name}.sql").read_bytes()


if __name__ == "__main__":
    run(Dbos())
