"""What one run of one system has to itself: a database, a ledger, a folder, a client, workers."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ..server import WORKER
from .client import Client
from .inside.bench_peer.ledger import Ledger
from .install import CACHE, INSIDE, Installed
from .served import Served
from .statements import statement
from .workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..server import Server
    from .redis import Redis

DATABASE = "measured"
CLIENT = "client"


class Bench(NamedTuple):
    """What all runs share."""

    server: Server
    #: If a system wants one.
    redis: Redis | None
    #: Turns of a loop that take 1 ms.
    turns: int
    #: Of the usual number of jobs, and of minutes.
    scale: float = 1.0

    @property
    def server_pids(self) -> list[int]:
        return [self.server.pid] + ([self.redis.pid] if self.redis else [])


class Stage(NamedTuple):
    """One run."""

    bench: Bench
    installed: Installed
    workload: str
    #: How many jobs the run is of.
    jobs: int
    folder: Path
    ledger: Ledger
    #: The harness's own, to the database of the run.
    connection: psycopg.Connection[tuple[Any, ...]]
    client: Client
    #: How many jobs stand in their way.
    beside: int = 0
    #: What stands between the workers and the database, where there is such a thing.
    served: Served | None = None

    def workers(self, processes: int | None = None) -> Workers:
        """As many as the settings say, or as are told, to be started by `with`."""
        settings = self.installed.system.settings_for(self.workload)
        command = _command(self.installed, "work")
        log = self.folder / "workers.log"
        return Workers(command, processes or settings.processes, self.environment(), log)

    def environment(self) -> dict[str, str]:
        """The workers'."""
        made = _environment(self.bench, self.installed, self.workload, self.folder, WORKER)
        return made | (self.served.environment if self.served else {})


@contextmanager
def stage(
    bench: Bench, installed: Installed, workload: str, jobs: int, beside: int = 0
) -> Iterator[Stage]:
    """A fresh one, with the peer's schema prepared; nothing is left of it.

    With jobs that stand in the way, the ledger has lines for these and for twice the others.
    """
    folder = bench.server.folder / "run"
    with ExitStack() as stack:
        if bench.redis is not None:
            bench.redis.empty()
        folder.mkdir()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        ledger = Ledger.make(folder / "ledger", 2 * jobs + beside if beside else jobs)
        stack.enter_context(bench.server.database(DATABASE, migrated=False))
        connection = stack.enter_context(bench.server.connect(DATABASE))
        connection.execute(statement("create_own"))
        environment = _environment(bench, installed, workload, folder, CLIENT)
        command = _command(installed, "client")
        client = stack.enter_context(Client(command, environment, folder / "client.log"))
        client.ask("prepare")
        one = Stage(bench, installed, workload, jobs, folder, ledger, connection, client, beside)
        if installed.system.settings_for(workload).options.get("served"):
            command = _command(installed, "serve")
            server = Served(command, one.environment(), folder / "server.log")
            one = one._replace(served=stack.enter_context(server))
        yield one


def _command(installed: Installed, verb: str) -> list[str]:
    return [str(installed.interpreter), str(installed.system.program), verb]


def _environment(
    bench: Bench, installed: Installed, workload: str, folder: Path, role: str
) -> dict[str, str]:
    """Nothing of ours but what the peer needs."""
    system = installed.system
    bin_folder = str(installed.interpreter.parent)
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TZ") if name in os.environ}
    return kept | {
        "PATH": f"{bin_folder}:{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": f"{INSIDE}:{system.program.parent}",
        "NODE_PATH": str(CACHE / system.name / "node" / "node_modules"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "BENCH_DSN": _url(bench.server.dsn(DATABASE, role)),
        "BENCH_REDIS": bench.redis.url if bench.redis else "",
        "BENCH_SETTINGS": json.dumps(system.settings_for(workload).options),
        "BENCH_FOLDER": str(folder),
        "BENCH_LEDGER": str(folder / "ledger"),
        "BENCH_TURNS": str(bench.turns),
    }


def _url(dsn: str) -> str:
    """As a URL, for drivers that aren't libpq."""
    known = conninfo_to_dict(dsn)
    host = quote(str(known["host"]), safe="")
    return f"postgresql://{known['user']}@/{known['dbname']}?host={host}&port={known['port']}"
