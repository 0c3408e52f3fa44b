"""Several hosts and two servers, each with an address of its own, on a bad network."""

import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import shell
from rooted import import_from_root
from running import Supervisor, all_over, enqueue, enqueue_counts, finished, runs, until
from serving import Server

import_from_root("soak")

from soak.network import Machine, Network, NoNetworkError  # noqa: E402

Connection = psycopg.Connection[Any]

SERVERS, AGENTS = 2, 3


class Farm:
    """Two servers, and agents that know both of them; each on its own host."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.servers: list[Server] = []
        self.agents: list[Supervisor] = []
        self.server_machines = network.machines[:SERVERS]
        self.agent_machines = network.machines[SERVERS:]


@pytest.fixture
def network() -> Iterator[Network]:
    try:
        network = Network(SERVERS + AGENTS)
    except NoNetworkError as refused:
        pytest.skip(str(refused))
    yield network
    network.remove()


@pytest.fixture
def lease() -> float:
    """Seconds without a sign of life, after which an agent's jobs are others'."""
    return 9.0


@pytest.fixture
def poll() -> float:
    """Seconds between signs of life of agents that have nothing to do."""
    return 1.0


@pytest.fixture
def farm(
    network: Network,
    lease: float,
    poll: float,
    make_server: Callable[..., Server],
    make_agent: Callable[..., Supervisor],
    wsup: shell.Wsup,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Farm:
    keys, token = tmp_path / "keys", tmp_path / "token"
    keys.write_text(wsup("token", "key", "first").stdout)
    token.write_text(wsup("token", "issue", "farm", "--keys", str(keys)).stdout)
    monkeypatch.delenv("WSUP_DATABASE")
    farm = Farm(network)
    for machine in farm.server_machines:
        server = make_server("--keys", str(keys), "--plain")
        server.within, server.address = machine.within, machine.address
        farm.servers.append(server.start())
    for machine in farm.agent_machines:
        times = ("--lease", f"{lease:g}", "--poll", f"{poll:g}")
        agent = make_agent(farm.servers[0], "--subworkers", "1", "--token-file", str(token), *times)
        at = agent.command.index("--source") + 1
        agent.command[at] = ",".join(server.url for server in farm.servers)
        agent.within = machine.within
        farm.agents.append(agent.launch())
    for agent in farm.agents:
        agent.wait_for("ready:")
    return farm


def work_through(
    farm: Farm,
    connection: Connection,
    ledger: Path,
    trouble: Callable[[], None],
    n: int = 3000,
) -> None:
    """Enqueue jobs, have the trouble amid them; each must have run once."""
    jobs = enqueue_counts(connection, ledger, n)
    until(lambda: len(runs(ledger)) > n // 10, "some jobs have run")
    trouble()
    assert all_over(connection, jobs) == {"succeeded": n}
    assert runs(ledger) == dict.fromkeys(jobs, 1)
    for agent in farm.agents:
        assert "taken for dead" not in agent.log


def has_connection(process: Supervisor, machine: Machine) -> bool:
    """Does it think that it has one to that machine?"""
    number = int.from_bytes(socket.inet_aton(machine.address), sys.byteorder)
    lines = Path(f"/proc/{process.pid}/net/tcp").read_text().splitlines()[1:]
    there = [line.split() for line in lines]
    return any(line[2].startswith(f"{number:08X}:") and line[3] == "01" for line in there)


def heard_since(connection: Connection, row: Any) -> int:
    """How many agents have given a sign of life since that time."""
    return connection.execute(
        "SELECT FROM wsup.supervisor WHERE agent IS NOT NULL AND beaten_at > %s", row
    ).rowcount


@pytest.mark.slow
def test_a_host_is_cut_off_and_comes_back(
    farm: Farm, connection: Connection, tmp_path: Path
) -> None:
    def trouble() -> None:
        farm.network.cut(farm.agent_machines[0])
        time.sleep(2)  # what is tested: a while without any packet, shorter than the lease
        farm.network.join(farm.agent_machines[0])

    work_through(farm, connection, tmp_path / "ledger", trouble)


@pytest.mark.slow
def test_servers_are_cut_off_in_turn(
    farm: Farm, connection: Connection, tmp_path: Path, lease: float
) -> None:
    """Whoever has that one goes to the other within the lease, though no packet says so."""

    def trouble() -> None:
        for machine in farm.server_machines:
            farm.network.cut(machine)
            # What they have said before that may be written down a moment later.
            row = connection.execute("SELECT clock_timestamp() + interval '1 s'").fetchone()
            until(lambda row=row: heard_since(connection, row) == AGENTS, "all of them", lease)
            farm.network.join(machine)

    work_through(farm, connection, tmp_path / "ledger", trouble, n=10_000)


def test_both_servers_are_killed(farm: Farm, connection: Connection, tmp_path: Path) -> None:
    def trouble() -> None:
        for server in farm.servers:
            server.kill()
        for agent in farm.agents:
            agent.wait_for("again in")
        for server in farm.servers:
            server.start()

    work_through(farm, connection, tmp_path / "ledger", trouble)


@pytest.mark.slow
@pytest.mark.parametrize("lease", [30])
def test_packets_are_lost_and_late(farm: Farm, connection: Connection, tmp_path: Path) -> None:
    def trouble() -> None:
        farm.network.be(loss=0.2, delay=0.2)

    work_through(farm, connection, tmp_path / "ledger", trouble, n=500)
    farm.network.be(loss=0.0)
    assert farm.network.lost > 10


@pytest.mark.slow
@pytest.mark.parametrize("poll", [60])
def test_who_is_cut_off_is_noticed_while_nobody_speaks(farm: Farm, connection: Connection) -> None:
    """On both sides: the server waits for jobs for it no longer; it goes to the other server."""
    agent, at = farm.agents[0], farm.agent_machines[0]
    (used,) = (n for n in range(SERVERS) if has_connection(agent, farm.server_machines[n]))
    farm.network.cut(at)
    until(lambda: not has_connection(farm.servers[used], at), "the server has noticed")
    farm.network.join(at)
    until(lambda: any(has_connection(agent, m) for m in farm.server_machines), "it is back")
    job = enqueue(connection, "noop")
    assert finished(connection, job) == ["succeeded"]
    (used,) = (n for n in range(SERVERS) if has_connection(agent, farm.server_machines[n]))
    farm.network.cut(farm.server_machines[used])
    other = farm.server_machines[1 - used]
    until(lambda: has_connection(agent, other), "the agent has gone to the other one")
    assert "taken for dead" not in agent.log
