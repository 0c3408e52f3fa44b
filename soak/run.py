"""One soak from the first start to the last check."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench import machine

from .accounts import Accounts
from .audit import Findings, audit
from .errors import SoakError
from .farm import Farm
from .faults import Injector
from .host import Host
from .judge import Problem
from .outages import Outages
from .producers import Bulk, Mixed
from .program import survivors
from .relations import Cancels, Families, Keys, Uniques
from .report import Run
from .server import Server
from .sharing import Limits, Tenants
from .statements import statement

if TYPE_CHECKING:
    from .plan import Plan

#: Seconds between two lines of progress.
PROGRESS = 30.0
#: Seconds between looks.
LOOK_AGAIN = 0.2
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  (looked at, never written)
#: What PostgreSQL calls its own segments, which it removes itself, and tests their databases and
#: clocks.
OF_OTHERS = ("PostgreSQL.", "wsup-test-", "faketime_")
#: What left.sql counts.
LEFT = (
    "ready", "waiting", "claims", "jobs without an outcome", "children", "dependencies",
    "loose ends", "cancel requests", "jobs in line for a key", "holders of a turn",
)  # fmt: skip


class Soak:
    """`run` in the folder given, which holds ledgers and logs afterwards."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self._ledger = folder / "ledger"
        self._ledger.mkdir()
        self._server = Server(folder / "server")
        self._accounts = Accounts()
        self._farm = Farm(self._server, folder, plan) if plan.http else None
        direct = ["--database", self._server.dsn]
        self._hosts = (
            self._farm.hosts
            if self._farm
            else [Host(n, direct, folder, plan) for n in range(plan.hosts)]
        )
        kinds = (Bulk, Mixed, Families, Cancels, Keys, Uniques, Uniques, Limits, Tenants)
        self._producers = [
            kind(self._server, self._accounts, plan, f"{kind.__name__} {n} {plan.seed}")
            for n, kind in enumerate(kinds)
        ]
        self._injector = Injector(
            self._server, self._hosts, self._accounts, plan, folder / "faults.jsonl"
        )
        self._outages: Outages | None = None
        if self._farm:
            self._outages = Outages(self._farm, plan, self._injector)
            self._injector.add(self._outages)
        self._shared = _shared()

    def run(self, command: str) -> Run:
        """Raises SoakError, EmbeddedError when it can't be done."""
        self._server.start()
        if self._farm:
            if self._farm.loopback:
                _say(f"on loopback, without the faults of a network: {self._farm.loopback}")
            self._farm.start_servers()
        for host in self._hosts:
            host.launch()
        for host in self._hosts:
            host.await_ready()
        self._await_limits()
        began = time.monotonic()
        self._work()
        seconds = self._drain() - began
        problems = self._stop_hosts()
        _say("comparing the ledger with the database")
        faults = self._injector.faults
        with self._server.connect() as connection:
            found = audit(
                connection, self._ledger, self._accounts, faults, by_lease=self._plan.http
            )
            problems += self._left_behind()
        about = machine.described(self._server.version(), self._server.home)
        findings = Findings(
            [*found.problems, *problems], found.states, found.executions, found.explained
        )
        return Run(
            command, self._plan, self._accounts, faults, findings, seconds, about, self._around()
        )

    def _around(self) -> list[tuple[str, str]]:
        """What was there beside the supervisors: name and value, line by line."""
        if self._farm is None or self._outages is None:
            return []
        network = self._farm.network
        where = "loopback: none of the network's faults" if network is None else "namespaces"
        silence = max(self._outages.silences, default=0.0)
        return [
            ("agents without a database", f"{len(self._hosts)}"),
            ("servers", f"{len(self._farm.servers)}"),
            ("network", where),
            ("TLS", "yes" if self._plan.tls else "no"),
            ("packets lost", f"{network.lost if network else 0:,}"),
            ("longest time until all agents were heard of again, s", f"{silence:.1f}"),
        ]

    def _await_limits(self) -> None:
        """Raises SoakError if no supervisor has told the database of them."""
        deadline = time.monotonic() + self._plan.patience
        with self._server.connect() as connection:
            while connection.execute(statement("declared")).fetchone() != (True,):
                if time.monotonic() > deadline:
                    raise SoakError("the limits of the app don't hold")
                time.sleep(LOOK_AGAIN)

    def close(self) -> None:
        """Kill and remove whatever is still there. Idempotent."""
        self._injector.stop()
        for producer in self._producers:
            producer.stop()
        for host in self._hosts:
            host.kill()
        if self._farm:
            self._farm.remove()
        self._server.remove()

    def _work(self) -> None:
        """Enqueue and injure until the time is over."""
        threads = [*self._producers, self._injector]
        for thread in threads:
            thread.start()
        end = time.monotonic() + self._plan.seconds
        next_line = time.monotonic() + PROGRESS
        while (now := time.monotonic()) < end and all(thread.is_alive() for thread in threads):
            if now >= next_line:
                next_line = now + PROGRESS
                faults, jobs = len(self._injector.faults), self._accounts.enqueued
                _say(f"{end - now:.0f} s to go: {jobs:,} jobs enqueued, {faults} faults")
            time.sleep(LOOK_AGAIN)
        for thread in threads:
            thread.stop()
        for thread in threads:
            thread.join()
            if thread.error is not None:
                raise SoakError(f"{thread.name}: {thread.error}") from thread.error

    def _drain(self) -> float:
        """Wait until everything has ended, or nothing ends any more; returns when that was."""
        _say("draining")
        ended, moved = -1, time.monotonic()
        with self._server.connect() as connection:
            while time.monotonic() - moved < self._plan.patience:
                row = connection.execute(statement("left")).fetchone()
                if row is not None and not any(row):
                    return time.monotonic()
                row = connection.execute(statement("ended")).fetchone()
                if row is not None and row[0] != ended:
                    ended, moved = row[0], time.monotonic()
                time.sleep(LOOK_AGAIN)
        _say(f"nothing has ended for {self._plan.patience:g} s")
        return moved

    def _stop_hosts(self) -> list[Problem]:
        problems = []
        for host in self._hosts:
            if code := host.stop():
                text = f"host {host.number} ended with exit code {code}"
                problems.append(Problem("left behind", text, host.tail().splitlines()))
        for served, code in self._farm.stop_servers() if self._farm else ():
            text = f"server {served.number} ended with exit code {code}"
            problems.append(Problem("left behind", text, served.tail().splitlines()))
        problems += [
            Problem("not heard of again", f"an agent, after {kind}")
            for kind in self._injector.unheard
        ]
        return problems

    def _left_behind(self) -> list[Problem]:
        """What is still there although all have stopped."""
        left = [f"process {process}" for process in survivors(self._folder)]
        left += [str(SHARED_MEMORY / name) for name in sorted(_shared() - self._shared)]
        for host in self._hosts:
            left += [str(path) for path in sorted(host.run_dir.iterdir())]
        with self._server.connect() as connection:
            for name, words in (
                ("left", LEFT),
                ("registered", ("rows of supervisor", "rows of sleeper")),
            ):
                row = connection.execute(statement(name)).fetchone() or ()
                left += [f"{n} {word}" for n, word in zip(row, words, strict=True) if n]
            for row in connection.execute(statement("loose_ends")):
                left.append(
                    f"loose end {row[0]} of {row[1]}: child, parent, writers, low, id {row[2:]}"
                )
        return [Problem("left behind", what) for what in left]


def _shared() -> set[str]:
    names = (path.name for path in SHARED_MEMORY.iterdir())
    return {name for name in names if not name.startswith(OF_OTHERS)}


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
