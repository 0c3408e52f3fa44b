"""Servers, agents and the database die and come back: nothing is lost, nothing runs twice."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from running import (
    Supervisor,
    all_over,
    enqueue,
    enqueue_counts,
    finished,
    result,
    runs,
    sleepers,
    state,
    until,
)

Connection = psycopg.Connection[Any]
MakeAgent = Callable[..., Supervisor]

BEATS = "SELECT id, beat FROM wsup.supervisor WHERE agent IS NOT NULL"


def test_a_server_is_killed_under_load(
    served: Any, make_agent: MakeAgent, connection: Connection, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    agents = [make_agent(served, "--subworkers", "2").start() for _ in range(2)]
    jobs = enqueue_counts(connection, ledger, 4000)
    for share in (500, 1500):
        until(lambda n=share: len(runs(ledger)) > n, "some jobs have run")
        served.kill()
        served.start()
    assert all_over(connection, jobs) == {"succeeded": 4000}
    assert runs(ledger) == dict.fromkeys(jobs, 1)
    for agent in agents:
        assert "taken for dead" not in agent.log


@pytest.mark.slow
def test_an_agent_that_was_killed_is_known_to_be_dead_when_it_starts_again(
    served: Any, make_agent: MakeAgent, connection: Connection, tmp_path: Path
) -> None:
    gate, started = tmp_path / "gate", tmp_path / "started"
    agent = make_agent(served, "--subworkers", "1").start()
    job = enqueue(connection, "wait_for_file", path=str(gate), started=str(started))
    until(started.exists, "the job runs")
    agent.kill()
    gate.touch()
    began = time.monotonic()
    agent.start()
    assert finished(connection, job) == ["succeeded"]
    assert time.monotonic() - began < 10  # and not after the lease, which is 30 s
    lost = connection.execute("SELECT type, lost FROM wsup.failure").fetchall()
    assert lost == [("SupervisorDied", True)]


@pytest.mark.slow
def test_the_database_restarts(
    own_database: str, own_server: Any, make_server: Any, make_agent: MakeAgent, tmp_path: Path
) -> None:
    server = make_server(database=own_database).start()
    make_agent(server, "--subworkers", "2").start()
    ledger = tmp_path / "ledger"
    with psycopg.connect(own_database, autocommit=True) as connection:
        jobs = enqueue_counts(connection, ledger, 2000)
        until(lambda: len(runs(ledger)) > 200, "some jobs have run")
    own_server.end()
    own_server.start()
    with psycopg.connect(own_database, autocommit=True) as connection:
        assert all_over(connection, jobs) == {"succeeded": 2000}
    assert runs(ledger) == dict.fromkeys(jobs, 1)


@pytest.mark.slow
def test_a_server_stops_without_keeping_anybody_waiting(
    served: Any, make_agent: MakeAgent, connection: Connection
) -> None:
    agent = make_agent(served, "--subworkers", "1").start()
    until(lambda: sleepers(connection) == 1, "the server sleeps")
    began = time.monotonic()
    assert served.stop() == 0
    assert time.monotonic() - began < 5
    job = enqueue(connection, "noop")
    agent.wait_for("again in")
    served.start()
    assert finished(connection, job) == ["succeeded"]


@pytest.mark.slow
def test_a_job_is_cancelled_while_it_runs_on_an_agent(
    served: Any, make_agent: MakeAgent, connection: Connection, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    make_agent(served, "--subworkers", "1").start()
    job = enqueue(connection, "wait_for_file", path=str(tmp_path / "never"), started=str(started))
    until(started.exists, "the job runs")
    connection.execute("SELECT wsup.cancel(ARRAY[%s]::bigint[])", [job])
    began = time.monotonic()
    assert finished(connection, job) == ["cancelled"]
    assert time.monotonic() - began < 5


@pytest.mark.slow
def test_jobs_that_wait_are_promoted_for_agents(
    served: Any, make_agent: MakeAgent, connection: Connection, tmp_path: Path
) -> None:
    make_agent(served, "--subworkers", "1").start()
    until(lambda: sleepers(connection) == 1, "the server sleeps")
    row = connection.execute("SELECT wsup.enqueue('noop', delay => interval '0.5 s')").fetchone()
    assert row is not None
    assert finished(connection, row[0]) == ["succeeded"]
    assert result(connection, enqueue(connection, "retry")) == 3
    assert result(connection, enqueue(connection, "snooze", path=str(tmp_path / "snoozed")))


@pytest.mark.slow
def test_an_agent_that_was_stopped_beyond_its_lease_starts_over(
    make_server: Any, make_agent: MakeAgent, connection: Connection, tmp_path: Path
) -> None:
    server = make_server("--lease", "5").start()
    agent = make_agent(server, "--subworkers", "1", "--lease", "5").start()
    started, gate = tmp_path / "started", tmp_path / "gate"
    job = enqueue(connection, "wait_for_file", path=str(gate), started=str(started))
    until(started.exists, "the job runs")
    agent.send(signal.SIGSTOP)
    until(lambda: state(connection, job) == "ready", "it is taken for dead")
    agent.send(signal.SIGCONT)
    agent.wait_for("taken for dead")
    gate.touch()
    assert finished(connection, job) == ["succeeded"]


@pytest.mark.slow
def test_an_idle_agent_beside_a_busy_one_is_not_taken_for_dead(
    make_server: Any, make_agent: MakeAgent, connection: Connection, tmp_path: Path
) -> None:
    """Whatever `poll` is: it gives signs of life within its lease."""
    server = make_server("--lease", "5").start()
    flags = ("--subworkers", "1", "--lease", "5", "--poll", "60")
    agents = [make_agent(server, *flags).start() for _ in range(2)]
    gate, started = tmp_path / "gate", tmp_path / "started"
    job = enqueue(connection, "wait_for_file", path=str(gate), started=str(started))
    until(started.exists, "the job runs")
    there = dict(connection.execute(BEATS).fetchall())
    busy = connection.execute("SELECT supervisor FROM wsup.claim").fetchone()
    assert busy is not None
    until(
        lambda: dict(connection.execute(BEATS).fetchall())[busy[0]] > there[busy[0]] + 12,
        "the busy one has given signs of life for two leases",
    )
    assert dict(connection.execute(BEATS).fetchall()).keys() == there.keys()
    gate.touch()
    assert finished(connection, job) == ["succeeded"]
    for agent in agents:
        assert "taken for dead" not in agent.log
