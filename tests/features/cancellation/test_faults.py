"""A job that was cancelled is not tried again, whatever dies before that is heard of."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pooler import PROGRAM, Pooler
from running import Supervisor, enqueue, finished, runs, state, until

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]
FLAGS = ("--subworkers", "1", "--kill-grace", "0.3", "--log-level", "debug")


@pytest.fixture
def host(make_supervisor: MakeSupervisor) -> Supervisor:
    return make_supervisor(*FLAGS, app="cancellable:sync").start()


@pytest.fixture
def pooler(database: str) -> Iterator[Pooler]:
    pooler = Pooler(database).start()
    yield pooler
    pooler.remove()


def begin(connection: Connection, folder: Path, how: str = "") -> int:
    """Enqueue a job that waits, with retries, and wait until it runs."""
    started = folder / "started"
    job = enqueue(connection, "wait", path=str(folder / "go"), started=str(started), how=how)
    until(started.exists)
    return job


def cancel(connection: Connection, job: int) -> None:
    query = "SELECT state FROM wsup.cancel(ARRAY[%s::bigint])"
    assert connection.execute(query, [job]).fetchall() == [("cancelling",)]


def is_cancelled(connection: Connection, folder: Path, job: int) -> None:
    assert finished(connection, job) == ["cancelled"]
    assert runs(folder / "started") == {job: 1}
    until(lambda: not connection.execute("SELECT FROM wsup.cancel_request").rowcount)


def test_the_supervisor_is_killed_before_it_hears(
    host: Supervisor, connection: Connection, tmp_path: Path
) -> None:
    job = begin(connection, tmp_path)
    host.send(signal.SIGSTOP)
    cancel(connection, job)
    host.kill()
    host.start()
    is_cancelled(connection, tmp_path, job)


def test_another_host_buries_it(
    host: Supervisor, make_supervisor: MakeSupervisor, connection: Connection, tmp_path: Path
) -> None:
    job = begin(connection, tmp_path)
    other = make_supervisor(*FLAGS, app="cancellable:sync").start()
    host.send(signal.SIGSTOP)
    cancel(connection, job)
    host.kill()
    is_cancelled(connection, tmp_path, job)
    assert other.stop() == 0


def test_the_subworker_is_killed_before_it_hears(
    host: Supervisor, connection: Connection, tmp_path: Path
) -> None:
    job = begin(connection, tmp_path)
    (pid,) = host.subworker_pids()
    os.kill(pid, signal.SIGSTOP)
    cancel(connection, job)
    host.wait_for(f"job {job} is to be cancelled")
    os.kill(pid, signal.SIGKILL)
    is_cancelled(connection, tmp_path, job)
    row = connection.execute("SELECT reason FROM wsup.outcome").fetchone()
    assert row is not None
    assert row[0].startswith("cancelled by request; ")
    assert row[0].endswith("subworker died: SIGKILL")


def test_the_connection_is_lost_before_it_hears(
    host: Supervisor, connection: Connection, tmp_path: Path
) -> None:
    job = begin(connection, tmp_path)
    host.send(signal.SIGSTOP)
    cancel(connection, job)
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    host.send(signal.SIGCONT)
    is_cancelled(connection, tmp_path, job)
    host.wait_for("connected again")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_one_that_goes_on_is_not_given_back(
    signum: signal.Signals, make_supervisor: MakeSupervisor, connection: Connection, tmp_path: Path
) -> None:
    host = make_supervisor(*FLAGS, "--grace", "1", app="cancellable:sync").start()
    job = begin(connection, tmp_path, how="ignore")
    cancel(connection, job)
    host.wait_for(f"job {job} is to be cancelled")
    assert host.stop(signum) == 0
    assert state(connection, job) == "cancelled"


def test_amid_a_stop_it_is_heard(
    make_supervisor: MakeSupervisor, connection: Connection, tmp_path: Path
) -> None:
    """In an app with a loop, too, which has nothing to wait for but the main thread."""
    host = make_supervisor(*FLAGS, app="cancellable:both").start()
    job = begin(connection, tmp_path)
    host.send(signal.SIGTERM)
    host.wait_for("stopping")
    cancel(connection, job)
    assert finished(connection, job) == ["cancelled"]
    assert host.ended() == 0


def test_by_a_beat_where_nobody_can_be_told(
    make_supervisor: MakeSupervisor, connection: Connection, tmp_path: Path
) -> None:
    make_supervisor(*FLAGS, "--listen", "off", app="cancellable:sync").start()
    job = begin(connection, tmp_path)
    cancel(connection, job)
    is_cancelled(connection, tmp_path, job)


@pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed: apt-get install pgbouncer")
@pytest.mark.parametrize("listens", [True, False])
def test_behind_a_pooler(
    listens: bool,
    make_supervisor: MakeSupervisor,
    pooler: Pooler,
    database: str,
    connection: Connection,
    tmp_path: Path,
) -> None:
    flags = (*FLAGS, "--listen", database if listens else "off")
    make_supervisor(*flags, database=pooler.dsn, app="cancellable:sync").start()
    job = begin(connection, tmp_path)
    cancel(connection, job)
    is_cancelled(connection, tmp_path, job)
