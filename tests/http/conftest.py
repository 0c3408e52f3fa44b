"""Servers in processes of their own, and supervisors that have nothing else."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running import Supervisor
from serving import Server


@pytest.fixture
def make_server(database: str, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def make(*flags: str, database: str = database) -> Server:
        server = Server(database, tmp_path, *flags)
        made.append(server)
        return server

    yield make
    for server in made:
        server.kill()
        print(server.log)


@pytest.fixture
def served(make_server: Callable[..., Server]) -> Server:
    return make_server().start()


@pytest.fixture
def make_agent(
    make_supervisor: Callable[..., Supervisor], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Supervisor]:
    """Makes supervisors that know of no database."""

    def make(server: Server, *flags: str, app: str = "tasks:app") -> Supervisor:
        monkeypatch.delenv("WSUP_DATABASE", raising=False)
        agent = make_supervisor("--source", server.url, *flags, app=app)
        at = agent.command.index("--database")
        del agent.command[at : at + 2]
        return agent

    return make
