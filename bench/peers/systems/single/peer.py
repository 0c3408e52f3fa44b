"""One job at a time: what most queues on PostgreSQL do, with as many processes as there are places.

Each process pulls a job, runs it, writes its result and deletes it; nobody is woken, all look again
after a pause when there was nothing.
"""

import json
import signal
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import psycopg
from bench_peer import BODIES, DSN, Args, Counts, Peer, run

#: Seconds between two looks of an idle process.
LOOK_AGAIN = 0.05


class Single(Peer):
    """Jobs in one table, outcomes in another."""

    def __init__(self) -> None:
        self.connection = psycopg.connect(DSN, autocommit=True, prepare_threshold=0)

    def prepare(self) -> None:
        self.connection.execute(_statement("schema"), prepare=False)

    def enqueue(self, task: str, args: Args) -> None:
        self.enqueue_many(task, [args])

    def enqueue_many(self, task: str, many: Sequence[Args]) -> None:
        with self.connection.cursor() as cursor, cursor.copy(_statement("copy")) as copy:
            for args in many:
                copy.write_row((task, json.dumps(args)))

    def is_settled(self) -> bool:
        return bool(self._do("settled").fetchone()[0])

    def counts(self) -> Counts:
        return Counts(*self._do("counts").fetchone())

    def results(self) -> Iterable[Any]:
        return (row[0] for row in self._do("results"))

    def work(self) -> None:
        signal.signal(signal.SIGTERM, _leave)
        # A plan made for an empty table, which is where it starts, must be right for a full one.
        for setting in ("enable_seqscan", "enable_bitmapscan", "enable_sort"):
            self.connection.execute("SELECT set_config(%s, 'off', false)", [setting])
        while True:
            if pulled := self._do("pull").fetchone():
                job, task, args = pulled
                self._do("commit", job, json.dumps(BODIES[task].body(**args)))
            else:
                time.sleep(LOOK_AGAIN)

    def _do(self, name: str, *values: object) -> Any:
        return self.connection.execute(_statement(name), values or None)


def _statement(name: str) -> bytes:
    return Path(__file__).with_name(f"{name}.sql").read_bytes()


def _leave(signum: int, frame: object) -> NoReturn:
    raise SystemExit


if __name__ == "__main__":
    run(Single())
