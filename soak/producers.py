"""Who enqueues: no-ops by the thousand, and all other kinds by the handful, both in transactions of
their own, of which some roll back."""

from __future__ import annotations

import json
import random
import threading
import time
from abc import ABC, abstractmethod
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg

from . import app
from .fates import Fate
from .statements import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .accounts import Accounts
    from .plan import Plan
    from .requests import Request
    from .server import Server

    Connection = psycopg.Connection[tuple[Any, ...]]

#: The share of transactions that roll back.
ROLLED_BACK = 0.08
#: The share of the mixed jobs that go through wsup.enqueue in SQL instead of the task.
BY_SQL = 0.5
#: Seconds before a lost server is tried again, and between looks whether more may be enqueued.
LOOK_AGAIN = 0.05

#: How often each kind comes, beside the no-ops.
WEIGHTS = {
    "nap": 40, "nap_async": 25, "large": 5, "snooze": 8, "fickle": 12, "doomed": 7,
    "crash_once": 2, "crash": 1,
}  # fmt: skip


def arguments(kind: str, chance: random.Random) -> dict[str, object]:
    """Arguments of a job of that kind."""
    if kind in ("nap", "nap_async", "limited", "hosted", "shared"):
        return {"seconds": round(chance.uniform(0.005, 0.4), 3)}
    if kind == "large":
        return {
            "text": "x" * int(10 ** chance.uniform(2, 5.3)),
            "size": int(10 ** chance.uniform(2, 6.3)),
        }
    if kind == "snooze":
        return {"until": time.monotonic() + chance.uniform(0.1, 1.5)}
    if kind in ("crash", "crash_once"):
        return {"how": chance.choice(["exit", "segv", "kill"])}
    return {"number": 0} if kind == "noop" else {}


def transact(
    connection: Connection,
    accounts: Accounts,
    fill: Callable[[], list[int]],
    *,
    commit: bool,
    requests: Sequence[Request] = (),
) -> None:
    """One transaction, whose fate is noted, and that of the requests that `fill` has put into the
    list. Raises psycopg.Error when the server goes away."""
    jobs = fill()  # if this fails, no COMMIT was sent, and no id is known
    if not commit:
        accounts.note(jobs, Fate.ROLLED_BACK)
        connection.rollback()
        return
    try:
        connection.commit()
    except psycopg.Error:
        accounts.note(jobs, Fate.UNKNOWN)
        accounts.requests.note(requests, Fate.UNKNOWN)
        raise
    accounts.requests.note(requests, Fate.COMMITTED)
    accounts.note(jobs, Fate.COMMITTED)


class Producer(threading.Thread, ABC):
    """Enqueues until told to stop, and comes back whenever the server does."""

    def __init__(self, server: Server, accounts: Accounts, plan: Plan, seed: str) -> None:
        super().__init__(name=type(self).__name__, daemon=True)
        self._server = server
        self._accounts = accounts
        self._plan = plan
        self._chance = random.Random(seed)
        self._stopping = threading.Event()
        self._began = 0.0
        #: Of the transaction under way.
        self._requests: list[Request] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        self._began = time.monotonic()
        try:
            while not self._stopping.is_set():
                try:
                    self._produce()
                except psycopg.Error:
                    self._stopping.wait(LOOK_AGAIN)
        except BaseException as error:
            self.error = error

    def stop(self) -> None:
        self._stopping.set()

    def _produce(self) -> None:
        with closing(self._server.connect(autocommit=False)) as connection:
            while not self._stopping.is_set():
                if self._is_due(connection):
                    commit = self._chance.random() >= ROLLED_BACK
                    self._requests.clear()
                    transact(
                        connection, self._accounts, lambda: self._fill(connection),
                        commit=commit, requests=self._requests,
                    )  # fmt: skip
                    self._over(committed=commit)
                else:
                    self._stopping.wait(LOOK_AGAIN)

    @abstractmethod
    def _is_due(self, connection: Connection) -> bool:
        """Is there to be another transaction now?"""

    @abstractmethod
    def _fill(self, connection: Connection) -> list[int]:
        """Enqueue what the transaction carries; returns the jobs that it has made."""

    def _over(self, *, committed: bool) -> None:
        """The transaction is over."""


class Bulk(Producer):
    """No-ops, so many that all jobs together are as many as the plan says, spread over the time."""

    def _is_due(self, connection: Connection) -> bool:
        elapsed = time.monotonic() - self._began
        # A little ahead, so that faults at the end don't leave the run short.
        due = self._plan.jobs * min(1.0, 1.1 * elapsed / self._plan.seconds)
        if self._accounts.enqueued >= due:
            return False
        row = connection.execute(statement("depth"), [self._plan.backlog]).fetchone()
        connection.rollback()
        return row is not None and row[0] < self._plan.backlog

    def _fill(self, connection: Connection) -> list[int]:
        items = [(number,) for number in range(self._plan.bulk)]
        return [job.id for job in app.noop.options(connection=connection).enqueue_many(items)]


class Paced(Producer):
    """So many a second: `_fill` counts them in `_made`."""

    _made = 0

    @abstractmethod
    def _rate(self) -> float:
        """A second."""

    def _is_due(self, connection: Connection) -> bool:
        elapsed = time.monotonic() - self._began
        if self._made < self._rate() * elapsed:
            return True
        # A wait before each transaction, also after an outage: no flood.
        self._made = max(self._made, int(self._rate() * elapsed))
        return False


class Mixed(Paced):
    """All the other kinds of plain jobs."""

    def _rate(self) -> float:
        return self._plan.mixed

    def _fill(self, connection: Connection) -> list[int]:
        kinds = self._chance.choices(
            list(WEIGHTS), list(WEIGHTS.values()), k=self._chance.randint(1, 10)
        )
        self._made += len(kinds)
        return [self._enqueue(connection, kind) for kind in kinds]

    def _enqueue(self, connection: Connection, kind: str) -> int:
        args = arguments(kind, self._chance)
        if self._chance.random() < BY_SQL:
            priority = self._chance.choice([-1, 0, 0, 5])
            row = connection.execute(
                statement("enqueue"), [kind, json.dumps(args), priority]
            ).fetchone()
            assert row is not None
            return int(row[0])
        delay = self._chance.choice([None, None, None, 0.0, 0.3])
        task: Any = app.app.tasks[kind]
        return int(task.options(connection=connection, delay=delay).enqueue(**args).id)
