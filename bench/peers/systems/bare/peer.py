"""The least that a queue can be, to measure the others by. It would lose jobs in a crash."""

import json
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import psycopg
from bench_peer import BODIES, DSN, SETTINGS, Args, Counts, Peer, run


class Bare(Peer):
    """Jobs in one table, outcomes in another."""

    def __init__(self) -> None:
        self.connection = psycopg.connect(DSN, autocommit=True)

    def prepare(self) -> None:
        self._do("schema")

    def enqueue(self, task: str, args: Args) -> None:
        self._do("enqueue" if SETTINGS["notify"] else "insert", task, json.dumps(args))

    def enqueue_many(self, task: str, many: Sequence[Args]) -> None:
        with self.connection.cursor() as cursor, cursor.copy(_statement("copy")) as copy:
            for args in many:
                copy.write_row((task, json.dumps(args)))

    def enqueue_in_transaction(self, task: str, args: Args) -> None:
        with self.connection.transaction():
            self.connection.execute("INSERT INTO own VALUES (%s)", [args["number"]])
            self.enqueue(task, args)

    def is_settled(self) -> bool:
        return bool(self._do("settled").fetchone()[0])

    def counts(self) -> Counts:
        return Counts(*self._do("counts").fetchone())

    def results(self) -> Iterable[Any]:
        return (row[0] for row in self._do("results"))

    def work(self) -> None:
        signal.signal(signal.SIGTERM, _leave)
        self.connection.execute("LISTEN job")
        while True:
            if batch := self._do("pull", SETTINGS["batch"]).fetchall():
                results = [json.dumps(BODIES[task].body(**args)) for _, task, args in batch]
                self._do("commit", [job for job, _, _ in batch], results)
            else:
                for _ in self.connection.notifies(timeout=5, stop_after=1):
                    pass

    def _do(self, name: str, *values: object) -> Any:
        return self.connection.execute(_statement(name), values or None)


def _statement(name: str) -> bytes:
    return Path(__file__).with_name(f"{name}.sql").read_bytes()


def _leave(signum: int, frame: object) -> NoReturn:
    raise SystemExit


if __name__ == "__main__":
    run(Bare())
