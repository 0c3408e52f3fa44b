"""Who is dead, and who is only slow: jobs change hosts when they must, and only then."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from relay import Relay
from running import PATIENCE, Supervisor, enqueue, finished, sleepers, until

from wsup.supervisor.liveness import WITNESS_SECONDS

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]

#: The shortest that can be set, in seconds.
LEASE = 5


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


class Job:
    """A job that runs until it is let go, and notes each of its starts."""

    def __init__(self, connection: Connection, folder: Path) -> None:
        self._connection = connection
        self._go, self._started = folder / "go", folder / "started"
        self.id = enqueue(
            connection, "wait_for_file", path=str(self._go), started=str(self._started)
        )

    def runs(self, times: int = 1) -> None:
        until(lambda: len(lines(self._started)) == times, f"it has started {times} times", 40)

    def starts(self) -> int:
        return len(lines(self._started))

    def let_go(self) -> None:
        self._go.touch()

    def ran_on(self) -> int:
        """The supervisor whose result was accepted; there must be just one."""
        assert finished(self._connection, self.id) == ["succeeded"]
        rows = self._connection.execute(
            "SELECT supervisor FROM wsup.outcome WHERE job = %s", [self.id]
        ).fetchall()
        assert len(rows) == 1
        return int(rows[0][0])


@pytest.fixture
def pair(make_supervisor: MakeSupervisor) -> tuple[Supervisor, Supervisor]:
    """Two hosts; the second one is paused, so that the first one gets the next job."""
    first, second = (
        make_supervisor("--subworkers", "1", "--lease", str(LEASE)).start() for _ in range(2)
    )
    second.ask("pause")
    return first, second


def beats(connection: Connection, supervisor: int) -> int:
    row = connection.execute(
        "SELECT beat FROM wsup.supervisor WHERE id = %s", [supervisor]
    ).fetchone()
    return int(row[0]) if row else 0


def test_a_sleeping_host_is_told_that_there_are_claims(
    make_supervisor: MakeSupervisor, connection: Connection, tmp_path: Path
) -> None:
    """It would look by itself only after a minute."""
    first, second = (make_supervisor("--subworkers", "1", "--poll", "60").start() for _ in range(2))
    watcher = second.status()["supervisor"]
    until(lambda: sleepers(connection) == 2, "both sleep")
    before = beats(connection, watcher)
    until(lambda: beats(connection, watcher) > before, "it has looked once more, in its sleep")
    second.send(signal.SIGSTOP)  # so that the other one gets the job
    connection.execute(SQL("LISTEN {}").format(Identifier(f"wsup_{watcher}")))
    job = Job(connection, tmp_path)
    job.runs()
    heard = [call.payload for call in connection.notifies(timeout=PATIENCE, stop_after=2)]
    assert heard == ["", "claimed"]
    second.send(signal.SIGCONT)
    first.kill()
    job.let_go()
    assert job.ran_on() == second.status()["supervisor"]
    assert job.starts() == 2


def test_a_killed_hosts_jobs_are_back_within_two_seconds(
    make_supervisor: MakeSupervisor, connection: Connection, tmp_path: Path
) -> None:
    """The other one slept when it was killed, at whatever moment of its looking."""
    hosts = [make_supervisor("--subworkers", "1", "--poll", "60").start() for _ in range(2)]
    until(lambda: min(host.status()["uptime"] for host in hosts) > WITNESS_SECONDS + 1)
    job = Job(connection, tmp_path)
    job.runs()
    at_work = int(lines(tmp_path / "started")[0].split()[2])
    (first,) = (host for host in hosts if at_work in host.subworker_pids())
    killed = datetime.now(UTC)
    first.kill()
    job.runs(times=2)
    job.let_go()
    job.ran_on()
    row = connection.execute("SELECT failed_at FROM wsup.failure WHERE lost").fetchone()
    assert row is not None
    print(f"its jobs were back after {(row[0] - killed).total_seconds():.2f} s")
    assert row[0] - killed < timedelta(seconds=2)


def test_a_pause_shorter_than_the_lease_repeats_nothing(
    pair: tuple[Supervisor, Supervisor], connection: Connection, tmp_path: Path
) -> None:
    first, second = pair
    job = Job(connection, tmp_path)
    job.runs()
    second.ask("resume")
    number, watcher = first.status()["supervisor"], second.status()["supervisor"]
    first.send(signal.SIGSTOP)
    before = beats(connection, watcher)
    until(lambda: beats(connection, watcher) >= before + 3, "the other one has looked three times")
    first.send(signal.SIGCONT)
    job.let_go()
    assert job.ran_on() == number
    assert job.starts() == 1


def test_after_a_longer_pause_its_results_are_refused(
    pair: tuple[Supervisor, Supervisor], connection: Connection, tmp_path: Path
) -> None:
    first, second = pair
    job = Job(connection, tmp_path)
    job.runs()
    second.ask("resume")
    number, old_pids = first.status()["supervisor"], first.subworker_pids()
    first.send(signal.SIGSTOP)
    job.runs(times=2)
    second.wait_for(f"supervisor {number} is dead: 1 of its jobs")
    job.let_go()  # for both: the stopped one's subworker goes on, too
    assert job.ran_on() == second.status()["supervisor"]
    first.send(signal.SIGCONT)
    first.wait_for("starting over")
    first.wait_for("registered as supervisor", times=2)
    assert first.status()["supervisor"] != number
    second.ask("pause")
    assert finished(connection, enqueue(connection, "noop")) == ["succeeded"]
    assert not set(first.subworker_pids()) & set(old_pids)
    assert job.ran_on() == second.status()["supervisor"]


# a cut network -------------------------------------------------------------------------------

pytestmark_network = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None,
    reason="network namespaces need root, and the program ip",
)


class Network:
    """A host of its own in a network namespace, and the cable to it."""

    def __init__(self, number: int) -> None:
        self.name, self._cable = f"wsup{number}", f"wsup{number}c"
        subnet = f"10.213.{number % 250}"
        self.address = f"{subnet}.1"
        for command in (
            f"netns add {self.name}",
            f"link add {self._cable} type veth peer name {self._cable}p netns {self.name}",
            f"addr add {self.address}/24 dev {self._cable}",
            f"link set {self._cable} up",
            f"-n {self.name} addr add {subnet}.2/24 dev {self._cable}p",
            f"-n {self.name} link set {self._cable}p up",
        ):
            self._ip(command)

    @property
    def within(self) -> list[str]:
        return ["ip", "netns", "exec", self.name]

    def cut(self) -> None:
        self._ip(f"link set {self._cable} down")

    def mend(self) -> None:
        self._ip(f"link set {self._cable} up")

    def remove(self) -> None:
        self._ip(f"link del {self._cable}")
        self._ip(f"netns del {self.name}")

    def _ip(self, command: str) -> None:
        subprocess.run(["ip", *command.split()], check=True, capture_output=True, timeout=20)


@pytest.fixture
def network() -> Iterator[Network]:
    try:
        network = Network(os.getpid())
    except subprocess.CalledProcessError as refused:
        pytest.skip(f"no network namespace can be made here: {refused.stderr.decode().strip()}")
    yield network
    network.remove()


@pytestmark_network
def test_a_host_that_is_cut_off_loses_its_jobs_after_the_lease(
    make_supervisor: MakeSupervisor,
    connection: Connection,
    database: str,
    network: Network,
    tmp_path: Path,
) -> None:
    relay = Relay(database, network.address)
    flags = ("--subworkers", "1", "--lease", str(LEASE))
    first = make_supervisor(*flags, database=relay.dsn)
    first.within = network.within
    first.start()
    job = Job(connection, tmp_path)
    job.runs()
    number = first.status()["supervisor"]
    second = make_supervisor(*flags).start()
    network.cut()
    job.runs(times=2)
    assert f"supervisor {number} is dead" in second.log
    job.let_go()
    assert job.ran_on() == second.status()["supervisor"]
    network.mend()
    first.wait_for("starting over")
    second.stop()
    assert finished(connection, enqueue(connection, "noop"), patience=60) == ["succeeded"]
    assert job.ran_on() != number
    relay.close()
