"""The faults, one after the other on a seeded schedule, each noted with what it could have hit."""

from __future__ import annotations

import random
import signal
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import msgspec
import psycopg

from .producers import arguments, transact
from .statements import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from .accounts import Accounts
    from .host import Host
    from .outages import Outages
    from .plan import Plan
    from .server import Server

SUBWORKER, SUPERVISOR = "subworker SIGKILL", "supervisor SIGKILL"
BACKEND, BACKENDS = "backend terminated", "all backends terminated"
PAUSE, RELOAD, PIN = "supervisor SIGSTOP, SIGCONT", "reload", "pinned horizon"
FAST, IMMEDIATE = "PostgreSQL restart, fast", "PostgreSQL restart, immediate"

#: Those of servers, of the network and of tokens: see outages.py.
SERVER, SERVER_STOP = "server SIGKILL", "server SIGTERM"
SERVER_PAUSE, SERVERS = "server SIGSTOP, SIGCONT", "all servers SIGKILL"
AGENT_CUT, SERVER_CUT = "agent cut off", "server cut off"
AGENT_GONE = "agent cut off beyond its lease"
LOSS, LATE, TOKEN = "20 % of packets lost", "200 ms latency", "token revoked, issued anew"
#: Those that results may have to wait for.
DELAYS = {
    FAST, IMMEDIATE, PAUSE, SERVER, SERVER_STOP, SERVER_PAUSE, SERVERS, AGENT_CUT, AGENT_GONE,
    SERVER_CUT, LOSS, LATE, TOKEN,
}  # fmt: skip

#: How often each comes, once each has come once.
WEIGHTS = {
    SUBWORKER: 40, SUPERVISOR: 8, BACKEND: 15, BACKENDS: 6, PAUSE: 8, RELOAD: 8, PIN: 4,
    FAST: 4, IMMEDIATE: 4,
    SERVER: 15, SERVER_STOP: 5, SERVER_PAUSE: 8, SERVERS: 5, AGENT_CUT: 10, SERVER_CUT: 8,
    AGENT_GONE: 1, LOSS: 8, LATE: 8, TOKEN: 6,
}  # fmt: skip
#: Seconds for which a transaction stays open.
PINNED = (3.0, 15.0)
#: Seconds before a killed supervisor is started again: at once, or once others have seen it.
RESTARTED_AFTER = (0.0, 0.0, 0.5, 4.0)


class Fault(msgspec.Struct, frozen=True):
    """One line of the fault ledger; times in seconds on CLOCK_MONOTONIC."""

    kind: str
    began: float
    #: When what it had hit was there again.
    ended: float
    #: The number of the host; -1: all of them.
    host: int = -1
    #: The process that was hit.
    pid: int = 0
    detail: str = ""

    def __str__(self) -> str:
        where = f" host {self.host} pid {self.pid}" if self.pid else ""
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.kind} {self.began:.6f} to {self.ended:.6f}{where}{detail}"


class Injector(threading.Thread):
    def __init__(
        self, server: Server, hosts: Sequence[Host], accounts: Accounts, plan: Plan, path: Path
    ) -> None:
        super().__init__(name="faults", daemon=True)
        self._server = server
        self._hosts = hosts
        self._accounts = accounts
        self._plan = plan
        self._path = path
        self.chance = random.Random(f"faults {plan.seed}")
        self._stopping = threading.Event()
        self._pin: threading.Thread | None = None
        self._noting = threading.Lock()
        self.faults: list[Fault] = []
        #: Faults after which somebody has not come back.
        self.unheard: list[str] = []
        self._outages: Outages | None = None
        self.error: BaseException | None = None
        self._deeds: dict[str, Callable[[str], None]] = {
            SUBWORKER: self._kill_subworker,
            SUPERVISOR: self._kill_supervisor,
            BACKEND: self._terminate,
            BACKENDS: self._terminate,
            PAUSE: self._pause,
            RELOAD: self._reload,
            PIN: self._start_pin,
            FAST: self._restart_server,
            IMMEDIATE: self._restart_server,
        }

    def add(self, outages: Outages) -> None:
        """These, too."""
        self._outages = outages
        self._deeds |= outages.deeds

    def run(self) -> None:
        try:
            for kind in self._schedule():
                self._stopping.wait(self.chance.uniform(*self._plan.pauses))
                if self._stopping.is_set():
                    break
                self._deeds[kind](kind)
                if self._outages and kind in DELAYS and not self._outages.await_agents():
                    self.unheard.append(kind)
            if self._pin is not None:
                self._pin.join()
            if self._outages:
                self._outages.join()
        except BaseException as error:
            self.error = error

    def stop(self) -> None:
        """Let the fault under way end, and begin no other."""
        self._stopping.set()

    def wait(self, seconds: float) -> None:
        """Or until it is to end."""
        self._stopping.wait(seconds)

    def _schedule(self) -> Iterator[str]:
        first = list(self._deeds)
        self.chance.shuffle(first)
        yield from first
        while True:
            yield from self.chance.choices(first, [WEIGHTS[kind] for kind in first])

    def _note(self, fault: Fault) -> None:
        with self._noting:
            self.faults.append(fault)
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(fault) + b"\n")

    @contextmanager
    def noted(self, kind: str, host: int = -1, pid: int = 0, detail: str = "") -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self._note(Fault(kind, began, time.monotonic(), host, pid, detail))

    # the deeds ----------------------------------------------------------------------------------

    def _kill_subworker(self, kind: str) -> None:
        host = self.chance.choice(self._hosts)
        if pids := host.subworkers():
            pid, began = self.chance.choice(pids), time.monotonic()
            if host.kill_subworker(pid):
                self._note(Fault(kind, began, time.monotonic(), host.number, pid))

    def _kill_supervisor(self, kind: str) -> None:
        host = self.chance.choice(self._hosts)
        pause = self.chance.choice(RESTARTED_AFTER)
        with self.noted(kind, host.number, host.pid, f"again after {pause:g} s"):
            host.kill()
            self._stopping.wait(pause)
            host.launch()
            host.await_ready()

    def _pause(self, kind: str) -> None:
        host = self.chance.choice(self._hosts)
        seconds = self.chance.uniform(0.3, self._plan.lease / 2)
        with self.noted(kind, host.number, host.pid, f"{seconds:.1f} s"):
            host.send(signal.SIGSTOP)
            self._stopping.wait(seconds)
            host.send(signal.SIGCONT)

    def _reload(self, kind: str) -> None:
        host = self.chance.choice(self._hosts)
        with self.noted(kind, host.number, host.pid):
            host.send(signal.SIGHUP)

    def _terminate(self, kind: str) -> None:
        most = 1 if kind == BACKEND else 1000
        began = time.monotonic()
        with self._server.connect() as connection:
            hit = connection.execute(
                statement("terminate"), [str(self.chance.random()), most]
            ).fetchall()
        names = ", ".join(f"{name} {pid}" for pid, name, _ in hit)
        self._note(Fault(kind, began, time.monotonic(), detail=names))

    def _restart_server(self, kind: str) -> None:
        with self.noted(kind):
            self._server.restart(signal.SIGINT if kind == FAST else signal.SIGQUIT)

    def _start_pin(self, kind: str) -> None:
        if self._pin is not None and self._pin.is_alive():
            return
        seconds, commit = self.chance.uniform(*PINNED), self.chance.random() < 0.5
        self._pin = threading.Thread(target=self._hold, args=(kind, seconds, commit), daemon=True)
        self._pin.start()

    def _hold(self, kind: str, seconds: float, commit: bool) -> None:
        """An idle transaction that has enqueued a job: the hardest case for the lanes."""
        detail = f"{seconds:.1f} s, then {'committed' if commit else 'rolled back'}"
        with self.noted(kind, detail=detail):
            try:
                with closing(self._server.connect(autocommit=False)) as connection:

                    def fill() -> list[int]:
                        connection.execute(statement("pin"))
                        args = msgspec.json.encode(arguments("noop", self.chance)).decode()
                        row = connection.execute(statement("enqueue"), ["noop", args, 0]).fetchone()
                        self._stopping.wait(seconds)
                        return [int(row[0])] if row else []

                    transact(connection, self._accounts, fill, commit=commit)
            except psycopg.Error:
                pass  # the server was restarted meanwhile
