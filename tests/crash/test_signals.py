"""Every signal of the supervisor, sent for real."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
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


def test_hup_reloads_the_code_and_old_jobs_finish_on_the_old(
    supervisor: Supervisor, connection: Connection, tmp_path: Path
) -> None:
    job, go = running_job(connection, tmp_path)
    tasks = supervisor.folder / "tasks.py"
    tasks.write_text(tasks.read_text().replace("VERSION = 1", "VERSION = 2"))
    supervisor.send(signal.SIGHUP)
    supervisor.wait_for("reloaded: generation 2")
    probe = enqueue(connection, "version")
    assert finished(connection, probe) == ["succeeded"]
    assert connection.execute(
        "SELECT result::text FROM wsup.outcome WHERE job = %s", [probe]
    ).fetchone() == ("2",)
    assert state(connection, job) == "running"
    go.touch()
    assert finished(connection, job) == ["succeeded"]
    until(lambda: {m["generation"] for m in supervisor.status()["subworkers"]} == {2})


def test_broken_code_is_not_taken_over(supervisor: Supervisor, connection: Connection) -> None:
    tasks = supervisor.folder / "tasks.py"
    tasks.write_text("import nothing_of_that_name\n")
    reply = supervisor.ask("reload")
    assert not reply["ok"]
    assert "nothing_of_that_name" in reply["error"]
    supervisor.wait_for("the old code works on")
    assert finished(connection, enqueue(connection, "add", a=1, b=1)) == ["succeeded"]


def test_jobs_neither_get_lost_nor_repeat_during_reloads(
    supervisor: Supervisor, connection: Connection, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    jobs = []
    for _ in range(3):
        with connection.transaction():
            jobs += [enqueue(connection, "count", path=str(ledger)) for _ in range(300)]
        assert supervisor.ask("reload")["ok"]
    assert set(finished(connection, *jobs)) == {"succeeded"}
    assert sorted(int(line.split()[0]) for line in ledger.read_text().splitlines()) == jobs


def test_usr2_pauses_and_goes_on(supervisor: Supervisor, connection: Connection) -> None:
    supervisor.send(signal.SIGUSR2)
    supervisor.wait_for("paused")
    job = enqueue(connection, "noop")
    assert supervisor.status()["state"] == "paused"
    assert state(connection, job) == "ready"
    supervisor.send(signal.SIGUSR2)
    assert finished(connection, job) == ["succeeded"]


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
