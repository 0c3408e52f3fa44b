"""A steady state: minutes at 70 % of the system's own rate, window after window.

The workers first drain a backlog, for their rate. Then they are fed, in bulk, while somebody may
hold the xmin horizon where it was at the start, so that no vacuum takes a dead row away: an
analyst's read-only transaction, a writer that has enqueued a job and not committed, or a backup,
which also holds a lock on every table. The numbers of the jobs go round in a ring, so that a ledger
of its size is enough for any number of them.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import psycopg

from .drain import LOOK_AGAIN, PATIENCE, Watch, settle_disk
from .errors import JobsWrong, PeerFailed
from .meter import value
from .stage import DATABASE
from .statements import statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .stage import Stage
    from .workers import Workers

#: Of its own rate.
SHARE = 0.7
#: Serial keys, where jobs have them.
KEYS = 1000
#: Seconds, at a scale of 1.
MINUTES_10 = 600.0
#: Seconds of a window; of a shorter one where there are but seconds in all.
WINDOW, SHORT_WINDOW = 10.0, 1.0
#: The last window is compared with the first.
LEAST_WINDOWS = 3
#: Of the ring, the part that is drained first.
FIRST = 10


class Window(NamedTuple):
    """What was seen at its end."""

    #: Jobs a second that began.
    rate: float
    #: Jobs a second that were enqueued.
    offered: float
    #: Enqueued and not begun.
    backlog: int
    dead: int
    #: Milliseconds of a pull, where the system says which statement that is.
    pull: float | None


def plain(stage: Stage, task: str) -> dict[str, float | list[float]]:
    """Nobody holds the horizon."""
    return Steady(stage, task).measure("")


def reader(stage: Stage, task: str) -> dict[str, float | list[float]]:
    """A transaction in REPEATABLE READ, READ ONLY holds it."""
    return Steady(stage, task).measure("reader")


def writer(stage: Stage, task: str) -> dict[str, float | list[float]]:
    """An idle transaction that has enqueued a job holds it."""
    return Steady(stage, task).measure("writer")


def dump(stage: Stage, task: str) -> dict[str, float | list[float]]:
    """A transaction holds it that has locked every table for reading, as pg_dump does."""
    return Steady(stage, task).measure("dump")


def retried(stage: Stage, task: str) -> dict[str, float | list[float]]:
    """A reader holds it, and each job fails at its first attempt."""
    return Steady(stage, task, attempts=2).measure("reader")


def retried_writer(stage: Stage, task: str) -> dict[str, float | list[float]]:
    """Likewise, and an idle transaction holds the horizon that has enqueued a job."""
    return Steady(stage, task, attempts=2).measure("writer")


def keyed(stage: Stage, task: str) -> dict[str, float | list[float]]:
    """A reader holds it, and the jobs have serial keys."""
    return Steady(stage, task, keys=KEYS).measure("reader")


def keyed_writer(stage: Stage, task: str) -> dict[str, float | list[float]]:
    """Likewise, and an idle transaction holds the horizon that has enqueued a job."""
    return Steady(stage, task, keys=KEYS).measure("writer")


class Steady:
    """One system under a constant load."""

    def __init__(self, stage: Stage, task: str, *, attempts: int = 1, keys: int = 0) -> None:
        self._stage = stage
        self._task = task
        self._attempts = attempts
        # Adapters in other languages know nothing of keys.
        self._keys = {"keys": keys} if keys else {}
        self._ring = stage.jobs
        self._enqueued = 0

    def measure(self, pin: str) -> dict[str, float | list[float]]:
        """Figures, and series with a value for each window."""
        stage = self._stage
        first = self._ring // FIRST
        stage.client.ask("fill", task=self._task, first=0, count=first, **self._keys)
        self._enqueued = first
        settle_disk(stage)
        with stage.workers() as workers:
            own = self._own_rate(workers, first)
            with self._pinned(pin):
                windows = self._windows(workers, SHARE * own)
            self._finish(workers)
            workers.stop()
        self._verify()
        return _figures(own, windows)

    def _own_rate(self, workers: Workers, jobs: int) -> float:
        watch = Watch(self._stage, workers)
        watch.until(jobs // 10)
        counted, seconds = watch.timed_until(jobs)
        watch.until_settled()
        return counted / seconds

    @contextmanager
    def _pinned(self, pin: str) -> Iterator[None]:
        if pin in ("reader", "dump"):
            with psycopg.connect(self._stage.bench.server.dsn(DATABASE)) as connection:
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                connection.read_only = True
                connection.execute(statement("dead_rows" if pin == "reader" else "lock_tables"))
                yield
        elif pin == "writer":
            number = self._enqueued % self._ring
            self._stage.client.ask("hold", task=self._task, number=number)
            self._enqueued += 1
            yield
            self._stage.client.ask("release")
        else:
            yield

    def _windows(self, workers: Workers, rate: float) -> list[Window]:
        seconds = MINUTES_10 * self._stage.bench.scale
        length = WINDOW if seconds >= LEAST_WINDOWS * WINDOW else SHORT_WINDOW
        self._stage.connection.execute(statement("reset_statements"))
        return [
            self._window(workers, rate, length)
            for _ in range(max(LEAST_WINDOWS, round(seconds / length)))
        ]

    def _window(self, workers: Workers, rate: float, length: float) -> Window:
        begun, (spent, calls), began = self._begun(), self._pulls(), time.monotonic()
        count = max(1, round(rate * length))
        self._stage.client.ask(
            "feed", task=self._task, first=self._enqueued, count=count, rate=rate,
            ring=self._ring, **self._keys,
        )  # fmt: skip
        self._enqueued += count
        workers.check_alive()
        now_begun, seconds = self._begun(), time.monotonic() - began
        now_spent, now_calls = self._pulls()
        pulled = now_calls - calls
        return Window(
            rate=(now_begun - begun) / seconds,
            offered=count / seconds,
            backlog=self._enqueued - now_begun,
            dead=value(self._stage.connection, "dead_rows"),
            pull=(now_spent - spent) / pulled if pulled else None,
        )

    def _begun(self) -> int:
        """How many have begun their last attempt, were there no other ones under way."""
        return sum(self._stage.ledger.runs.tolist()) // self._attempts

    def _pulls(self) -> tuple[float, int]:
        """Milliseconds and number of all pulls so far; none if they can't be told."""
        if not (text := self._stage.installed.system.pull):
            return 0.0, 0
        row = self._stage.connection.execute(statement("pull_time"), [text]).fetchone()
        assert row is not None
        return float(row[0]), int(row[1])

    def _finish(self, workers: Workers) -> None:
        """Wait until all that was enqueued is over."""
        deadline = time.monotonic() + PATIENCE
        while not (self._begun() >= self._enqueued and self._stage.client.ask("is_settled")):
            workers.check_alive()
            if time.monotonic() > deadline:
                what = f"{self._begun():,} of {self._enqueued:,} jobs have begun"
                raise PeerFailed(f"{what} within {PATIENCE:g} s after the last one")
            time.sleep(LOOK_AGAIN * 10)

    def _verify(self) -> None:
        """Each number of the ring ran as often as it was enqueued. Raises JobsWrong."""
        rounds, rest = divmod(self._enqueued, self._ring)
        for number, runs in enumerate(self._stage.ledger.runs.tolist()):
            if runs < (due := (rounds + (number < rest)) * self._attempts):
                raise JobsWrong(f"job {number:,} ran {runs:,} times of {due:,}")
        check = {"task": self._task, "count": self._enqueued, "ring": self._ring}
        found = self._stage.client.ask("check", **check)
        failed = self._enqueued * (self._attempts - 1)
        if (found["done"], found["failed"], found["left"]) != (self._enqueued, failed, 0):
            raise JobsWrong(f"of {self._enqueued:,} jobs it says: {found}")
        keeps = self._stage.installed.system.keeps_results
        if keeps and found["results"] != self._enqueued:
            raise JobsWrong(f"of {self._enqueued:,} results {found['results']:,} are right")


def _figures(own: float, windows: list[Window]) -> dict[str, float | list[float]]:
    rates = [window.rate for window in windows]
    pulls = [window.pull for window in windows if window.pull is not None]
    figures: dict[str, float | list[float]] = {
        "rate": sum(rates) / len(rates),
        "own": own,
        "offered": sum(window.offered for window in windows) / len(windows),
        "lowest": min(rates),
        "kept": rates[-1] / rates[0],
        "backlog": windows[-1].backlog,
        "dead": windows[-1].dead,
        "rates": rates,
        "dead_rows": [float(window.dead) for window in windows],
        "backlogs": [float(window.backlog) for window in windows],
    }
    if len(pulls) == len(windows):
        figures |= {"first_pull": pulls[0], "last_pull": pulls[-1], "pulls": pulls}
    return figures
