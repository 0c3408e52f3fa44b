"""Every signal of the supervisor, sent for real."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from running import Supervisor, alive, enqueue, finished, state, until

Connection = psycopg.Connection[Any]


def running_job(connection: Connection, folder: Path) -> tuple[int, Path]:
    """A job that runs until a file is there; returns both once it has started."""
    started, go = folder / "started", folder / "go"
    job = enqueue(connection, "wait_for_file", path=str(go), started=str(started))
    until(started.exists)
    return job, go


def test_term_finishes_what_runs_and_gives_back_the_rest(
    make_supervisor: Callable[..., Supervisor], connection: Connection, tmp_path: Path
) -> None:
    supervisor = make_supervisor("--subworkers", "1").start()
    job, go = running_job(connection, tmp_path)
    others = [enqueue(connection, "noop") for _ in range(3)]
    supervisor.send(signal.SIGTERM)
    supervisor.wait_for("stopping")
    until(lambda: [state(connection, other) for other in others] == ["ready"] * 3)
    go.touch()
    assert supervisor.process is not None
    assert supervisor.process.wait(20) == 0
    assert state(connection, job) == "succeeded"
    assert connection.execute("SELECT count(*) FROM wsup.failure").fetchone() == (0,)


def test_term_gives_back_what_waits_behind_a_running_job(
    make_supervisor: Callable[..., Supervisor], connection: Connection, tmp_path: Path
) -> None:
    """Short jobs have taught it to pull many at once."""
    supervisor = make_supervisor("--subworkers", "1").start()
    started, go = tmp_path / "started", tmp_path / "go"
    with connection.transaction():  # without a pause, after which that would be forgotten
        for _ in range(300):
            enqueue(connection, "noop")
        job = enqueue(connection, "wait_for_file", path=str(go), started=str(started))
        others = [enqueue(connection, "noop") for _ in range(400)]
    until(started.exists)
    until(lambda: supervisor.status()["queued"] > 0, "what waits behind it was recalled")
    supervisor.send(signal.SIGTERM)
    supervisor.wait_for("stopping")
    until(lambda: {state(connection, other) for other in others} == {"ready"})
    go.touch()
    assert supervisor.stop() == 0
    assert state(connection, job) == "succeeded"
    assert connection.execute("SELECT count(*) FROM wsup.claim").fetchone() == (0,)
    assert "pulled unheard" not in supervisor.log  # they were known, not found again


def test_after_the_grace_time_running_jobs_are_given_back(
    make_supervisor: Callable[..., Supervisor], connection: Connection, tmp_path: Path
) -> None:
    supervisor = make_supervisor("--subworkers", "1", "--grace", "0.2").start()
    job, _ = running_job(connection, tmp_path)
    assert supervisor.stop() == 0
    assert state(connection, job) == "ready"
    assert connection.execute("SELECT count(*) FROM wsup.failure").fetchone() == (0,)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGQUIT])
def test_int_and_quit_give_back_at_once(
    supervisor: Supervisor, connection: Connection, tmp_path: Path, signum: signal.Signals
) -> None:
    job, _ = running_job(connection, tmp_path)
    pids = supervisor.subworker_pids()
    assert supervisor.stop(signum) == 0
    assert state(connection, job) == "ready"
    assert not any(alive(pid) for pid in pids)


def test_usr2_pauses_and_goes_on(supervisor: Supervisor, connection: Connection) -> None:
    supervisor.send(signal.SIGUSR2)
    supervisor.wait_for("paused")
    job = enqueue(connection, "noop")
    assert supervisor.status()["state"] == "paused"
    assert state(connection, job) == "ready"
    supervisor.send(signal.SIGUSR2)
    assert finished(connection, job) == ["succeeded"]


def test_usr2_amid_work_finishes_only_what_was_pulled(
    supervisor: Supervisor, connection: Connection
) -> None:
    def count(table: str) -> int:
        query = SQL("SELECT count(*) FROM wsup.{}").format(Identifier(table))
        row = connection.execute(query).fetchone()
        return int(row[0]) if row else 0

    connection.execute("INSERT INTO wsup.job (task) SELECT 'noop' FROM generate_series(1, 20000)")
    until(lambda: count("outcome") > 0)
    supervisor.send(signal.SIGUSR2)
    supervisor.wait_for("paused")
    until(lambda: count("claim") == 0, "what was pulled is finished")
    left = count("ready")
    assert left == 20_000 - count("outcome") > 0
    supervisor.send(signal.SIGUSR2)
    until(lambda: count("outcome") == 20_000, "all are done", 60)


def test_ttin_and_ttou_change_the_number_of_subworkers(supervisor: Supervisor) -> None:
    supervisor.send(signal.SIGTTIN)
    until(lambda: len(supervisor.subworker_pids()) == 3)
    supervisor.send(signal.SIGTTOU)
    until(lambda: len(supervisor.subworker_pids()) == 2)


def test_usr1_writes_what_runs_and_the_stacks(
    supervisor: Supervisor, connection: Connection, tmp_path: Path
) -> None:
    job, go = running_job(connection, tmp_path)
    supervisor.send(signal.SIGUSR1)
    supervisor.wait_for(f"job {job} wait_for_file (attempt 1)")
    supervisor.wait_for("in wait_for_file")  # a frame of the task, from faulthandler
    go.touch()
    assert finished(connection, job) == ["succeeded"]
