"""The reference floor of bench/reference, by its frozen statements and turns, in the same run.

No job is executed. The ledger says when each was pulled, so that it is timed and checked as the
systems are: a line for each batch, which costs a microsecond or two.
"""

import importlib.util
import signal
import sys
import time
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import psycopg
from bench_peer import DSN, SETTINGS, Args, Counts, Peer, Unsupported, run
from bench_peer.environment import LEDGER
from bench_peer.ledger import Ledger

REFERENCE = Path(__file__).parents[3] / "reference"
#: Seconds between two looks, once there is nothing left.
LOOK_AGAIN = 0.005


def _import_reference() -> None:
    """As a package of its own: nothing else of the repository is on the path."""
    file = REFERENCE / "__init__.py"
    spec = importlib.util.spec_from_file_location(
        "reference", file, submodule_search_locations=[str(REFERENCE)]
    )
    sys.modules["reference"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


_import_reference()
from reference import database, floor  # noqa: E402


class Floor(Peer):
    """Results are all null, so there is nothing to compare."""

    def __init__(self) -> None:
        self.connection = psycopg.connect(DSN, autocommit=True)

    def prepare(self) -> None:
        database.create(DSN, 0)

    def enqueue(self, task: str, args: Args) -> None:
        raise Unsupported("its jobs come in bulk only")

    def enqueue_many(self, task: str, many: Sequence[Args]) -> None:
        # The arguments are left out: job 1 is number 0, and so on.
        with database.connect(DSN, autocommit=True) as connection:
            filling = (len(many), database.TASK, database.QUEUE)
            connection.execute(database.statement("fill"), filling)

    def is_settled(self) -> bool:
        return bool(self._row("settled")[0])

    def counts(self) -> Counts:
        return Counts(*self._row("counts"))

    def work(self) -> None:
        signal.signal(signal.SIGTERM, _leave)
        ledger = Ledger(LEDGER)
        with database.connect(DSN, autocommit=False) as connection:
            pulled: list[Any] = []
            while True:
                pulled = floor._turn(connection, SETTINGS["batch"], pulled)
                if pulled:
                    _note(ledger, [row[1] for row in pulled])
                else:
                    time.sleep(LOOK_AGAIN)

    def _row(self, name: str) -> Any:
        query = Path(__file__).with_name(f"{name}.sql").read_bytes()
        return self.connection.execute(query).fetchone()


def _note(ledger: Ledger, jobs: list[int]) -> None:
    """One puller takes neighbours; a job that came twice would be a number that is missing."""
    first, count = min(jobs) - 1, len(jobs)
    if len(set(jobs)) != count or max(jobs) - first != count:
        raise RuntimeError(f"a batch of {count} jobs, and not those that were next")
    if any(ledger.runs[first : first + count]):
        raise RuntimeError(f"jobs from {first} on were pulled before")
    ledger.started[first : first + count] = array("Q", [time.monotonic_ns()]) * count
    ledger.runs[first : first + count] = array("Q", [1]) * count


def _leave(signum: int, frame: object) -> NoReturn:
    raise SystemExit


if __name__ == "__main__":
    run(Floor())
