"""A backlog is drained: jobs a second, and what each of them costs.

The backlog is there before the workers start. The first of it are left out, so that nobody's start
is measured; from then until the system itself says that nothing is left, rate and costs are
of the jobs that began in between.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .errors import JobsWrong, PeerFailed
from .meter import Meter, value, written_since
from .statements import statement
from .verify import verify

if TYPE_CHECKING:
    from .stage import Stage
    from .workers import Workers

#: Seconds after which jobs must have been lost.
PATIENCE = 300.0
#: Seconds without a further job after which the system is asked whether it thinks that all is done.
SUSPICIOUS = 3.0
#: Seconds between two looks into the ledger, and between two questions to the system at the end.
LOOK_AGAIN = 0.005
MIB = 1024 * 1024


def measure(stage: Stage, task: str, lead: float = 0.1) -> dict[str, float]:
    """Figures by name; `lead` is the share of the jobs that is left out."""
    position = value(stage.connection, "wal_position")
    filled = stage.client.ask("fill", task=task, first=0, count=stage.jobs)
    _commits, enqueue_wal = written_since(stage.connection, position)
    settle_disk(stage)
    transactions = value(stage.connection, "transactions")
    with stage.workers() as workers:
        watch = Watch(stage, workers)
        watch.until(round(lead * stage.jobs))
        meter = Meter(stage.connection, workers.pids, stage.bench.server_pids)
        counted, began = watch.not_begun(), time.monotonic()
        if not counted:
            raise PeerFailed(f"all {stage.jobs:,} jobs began at once: too few to be measured")
        before = value(stage.connection, "transactions")
        watch.until(stage.jobs)
        busy = value(stage.connection, "transactions") - before
        watch.until_settled()
        seconds = time.monotonic() - began
        cost = meter.read()
        workers.look()
        workers.stop()
    # The workers' last counters are in the statistics once their sessions have ended.
    transactions = value(stage.connection, "transactions") - transactions
    repeated = verify(stage, task)
    return {
        "rate": counted / seconds,
        "enqueued": stage.jobs / filled,
        "worker_us": cost.workers * 1e6 / counted,
        "main_us": cost.mains * 1e6 / counted,
        "server_us": cost.servers * 1e6 / counted,
        "statements": cost.statements * 1000 / counted,
        "transactions": transactions * 1000 / stage.jobs,
        # While there was something to pull, so without those of the questions at the end.
        "busy": busy * 1000 / counted,
        "commits": cost.commits * 1000 / counted,
        # Bytes a job, from its enqueue to its end.
        "wal": cost.wal / counted + enqueue_wal / stage.jobs,
        "dead": value(stage.connection, "dead_rows"),
        "pss": workers.peak_pss / MIB,
        "repeated": repeated,
    }


def settle_disk(stage: Stage) -> None:
    """Nothing left to do from the enqueueing."""
    stage.connection.execute(statement("settle_disk"))
    stage.connection.execute(statement("checkpoint"))


class Watch:
    """Sees by the ledger how far the workers are."""

    def __init__(self, stage: Stage, workers: Workers, first: int = 0) -> None:
        self._stage = stage
        self._workers = workers
        #: All jobs before it have begun.
        self._begun = first

    def until(self, jobs: int) -> None:
        """Wait until the first so many jobs have begun."""
        started = self._stage.ledger.started
        last = time.monotonic()
        deadline = last + PATIENCE
        while True:
            before = self._begun
            while self._begun < jobs and started[self._begun]:
                self._begun += 1
            if self._begun == jobs:
                return
            if self._begun > before:
                last = time.monotonic()
            elif time.monotonic() > last + SUSPICIOUS and self._stage.client.ask("is_settled"):
                raise JobsWrong(f"it says that all is done, and job {self._begun:,} never ran")
            self._wait(deadline, f"job {self._begun:,} of {jobs:,} has not begun")

    def until_settled(self) -> None:
        """Wait until the system says that it is through."""
        deadline = time.monotonic() + PATIENCE
        while not self._stage.client.ask("is_settled"):
            self._wait(deadline, "all jobs have begun, and some are not over")

    def not_begun(self) -> int:
        """How many jobs are still to come."""
        return self._stage.ledger.started.tolist().count(0)

    def timed_until(self, jobs: int) -> tuple[int, float]:
        """Wait: how many jobs began meanwhile, and the seconds. Raises PeerFailed if none did."""
        left, began = self.not_begun(), time.monotonic()
        self.until(jobs)
        counted, seconds = left - self.not_begun(), time.monotonic() - began
        if not counted:
            raise PeerFailed(f"too few jobs before {jobs:,} to be timed: give a larger --scale")
        return counted, seconds

    def _wait(self, deadline: float, complaint: str) -> None:
        self._workers.check_alive()
        if time.monotonic() > deadline:
            raise PeerFailed(f"{complaint} within {PATIENCE:g} s")
        time.sleep(LOOK_AGAIN)
