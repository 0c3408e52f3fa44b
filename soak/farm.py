"""Agents without a database, and the servers that they know: each on a machine of its own, if there
can be such, on a network that can be made bad."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psycopg

from .certificate import Certificate
from .errors import SoakError
from .host import Host
from .network import Machine, Network, NoNetworkError
from .program import environment
from .served import Served
from .statements import statement

if TYPE_CHECKING:
    from pathlib import Path

    from .plan import Plan
    from .server import Server

#: Servers, each of which every agent knows.
SERVERS = 2


class Farm:
    """`hosts` are the agents."""

    def __init__(self, server: Server, folder: Path, plan: Plan) -> None:
        self.server = server
        self._folder = folder
        self._plan = plan
        self.network: Network | None = None
        #: Why there is no network of its own, if there is none.
        self.loopback = ""
        try:
            self.network = Network(SERVERS + plan.hosts)
        except NoNetworkError as error:
            self.loopback = str(error)
        machines = [self._machine(n) for n in range(SERVERS)]
        addresses = [machine.address if machine else "127.0.0.1" for machine in machines]
        self._certificate = Certificate(folder) if plan.tls else None
        self.servers = [
            Served(
                n, server.dsn, folder, plan, address=addresses[n],
                within=machine.within if machine else [], certificate=self._certificate,
            )
            for n, machine in enumerate(machines)
        ]  # fmt: skip
        self.hosts = [self._agent(n) for n in range(plan.hosts)]

    def _machine(self, number: int) -> Machine | None:
        return self.network.machines[number] if self.network else None

    def _agent(self, number: int) -> Host:
        machine = self.machine_of(number)
        flags = ["--token-file", str(self._token(number))]
        if self._certificate:
            flags += ["--source-ca", str(self._certificate.shown)]
        within = machine.within if machine else []
        return Host(number, flags, self._folder, self._plan, within=within)

    def machine_of(self, agent: int) -> Machine | None:
        """On which that agent runs."""
        return self._machine(SERVERS + agent)

    def start_servers(self) -> None:
        """And issue a token for each agent. Raises SoakError."""
        (self._folder / "keys").write_text(self._wsup("token", "key", "first"))
        if self._certificate:
            self._certificate.make(served.address for served in self.servers)
        for served in self.servers:
            served.launch()
        for served in self.servers:
            served.await_ready()
        urls = ",".join(served.url for served in self.servers)
        for host in self.hosts:
            host.flags += ["--source", urls]
            self.issue(host.number)

    def stop_servers(self) -> list[tuple[Served, int]]:
        """Returns those that have not ended as they should, and their exit codes."""
        codes = [(served, served.stop()) for served in self.servers]
        return [(served, code) for served, code in codes if code]

    def issue(self, agent: int) -> None:
        """Put a new token where the agent has its own."""
        keys = str(self._folder / "keys")
        token = self._wsup("token", "issue", _name(agent), "--keys", keys, *self._database)
        file = self._token(agent)
        beside = file.with_suffix(".new")
        beside.touch(mode=0o600)
        beside.write_text(token)
        beside.replace(file)

    def revoke(self, agent: int) -> None:
        """All tokens of that agent."""
        self._wsup("token", "revoke", _name(agent), *self._database)

    def _token(self, agent: int) -> Path:
        return self._folder / f"host{agent}.token"

    @property
    def _database(self) -> list[str]:
        return ["--database", self.server.dsn]

    def _wsup(self, *arguments: str) -> str:
        """Its output. Raises SoakError."""
        done = subprocess.run(
            [sys.executable, "-m", "wsup", *arguments],
            check=False,
            cwd=self._folder,
            env=environment(self._folder),
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SoakError(f"wsup {' '.join(arguments[:2])}: {done.stderr.strip()}")
        return done.stdout

    # who is there -------------------------------------------------------------------------------

    def time(self) -> Any:
        """The database's. Raises psycopg.Error."""
        return self._row("time")[0]

    def are_heard(self, since: Any) -> bool:
        """Has each agent given a sign of life since then? False, should the database be away."""
        try:
            return bool(self._row("heard", since)[0] == len(self.hosts))
        except psycopg.Error:
            return False

    def _row(self, name: str, *given: object) -> tuple[Any, ...]:
        with self.server.connect() as connection:
            row = connection.execute(statement(name), given).fetchone()
            assert row is not None
            return row

    def remove(self) -> None:
        """Kill and remove what is still there. Idempotent."""
        for served in self.servers:
            served.kill()
        if self.network is not None:
            self.network.remove()


def _name(agent: int) -> str:
    return f"soak-{os.getpid()}-{agent}"
