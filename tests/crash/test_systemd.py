"""What systemd hears of a supervisor, over a real notify socket."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from notify_socket import NotifySocket
from running import Supervisor, enqueue, finished, until

Connection = psycopg.Connection[Any]
Make = Callable[..., Supervisor]

#: The watchdog's time in these tests, in seconds: a sign is due every half of it.
WATCHDOG = 0.5
#: A supervisor whose loop is blocked for so many seconds by SIGPROF.
BLOCKED = 2.0
BLOCK_THE_LOOP = f"""
import signal, time
signal.signal(signal.SIGPROF, lambda *_: time.sleep({BLOCKED}))
"""


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[NotifySocket]:
    made = NotifySocket(tmp_path)
    yield made
    made.close()


def now_usec() -> int:
    return time.monotonic_ns() // 1000


def test_start_reload_and_stop_are_told(
    make_supervisor: Make, manager: NotifySocket, connection: Connection
) -> None:
    supervisor = make_supervisor("--subworkers", "2").start(**manager.environment)
    assert manager.wait_for("READY")["MAINPID"] == str(supervisor.pid)
    assert "importing tasks:app" in [f.get("STATUS") for _, f in manager.messages]

    finished(connection, *[enqueue(connection, "noop") for _ in range(20)])
    told = manager.wait_for("STATUS", "20 jobs done")
    assert told["STATUS"].startswith("running: 0 of 2 subworkers busy, 20 jobs done, ")

    before = now_usec()
    supervisor.send(signal.SIGHUP)
    # systemd takes a RELOADING for the answer to its signal only if it is of later than that.
    assert before <= int(manager.wait_for("RELOADING")["MONOTONIC_USEC"]) <= now_usec()
    assert "READY" not in manager.messages[-1][1]
    manager.wait_for("READY")
    assert supervisor.status()["generation"] == 2

    assert supervisor.ask("pause")["ok"]
    manager.wait_for("STATUS", "paused: ")
    assert supervisor.stop() == 0
    assert manager.wait_for("STOPPING")["STOPPING"] == "1"
    manager.drain()
    assert not any("WATCHDOG" in fields for _, fields in manager.messages)  # there is none


def test_a_refused_reload_ends_ready(make_supervisor: Make, manager: NotifySocket) -> None:
    supervisor = make_supervisor("--subworkers", "1").start(**manager.environment)
    manager.wait_for("READY")
    (supervisor.folder / "tasks.py").write_text("1 / 0")
    supervisor.send(signal.SIGHUP)
    manager.wait_for("RELOADING")
    manager.wait_for("READY")
    assert supervisor.status()["generation"] == 1


def test_the_variables_are_not_handed_down(make_supervisor: Make, tmp_path: Path) -> None:
    manager = NotifySocket(tmp_path, abstract=True)
    supervisor = make_supervisor("--subworkers", "1").start(**manager.watching(WATCHDOG))
    manager.wait_for("READY")
    for pid in supervisor.subworker_pids():
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"NOTIFY_SOCKET" not in environment
        assert b"WATCHDOG_USEC" not in environment
    manager.close()


def test_a_watchdog_of_another_process_is_not_fed(
    make_supervisor: Make, manager: NotifySocket
) -> None:
    make_supervisor("--subworkers", "1").start(**manager.watching(0.2), WATCHDOG_PID="1")
    manager.wait_for("READY")
    assert not any("WATCHDOG" in fields for fields in manager.listen(1))


def test_the_watchdog_is_fed_idle_and_busy(
    make_supervisor: Make, manager: NotifySocket, connection: Connection, tmp_path: Path
) -> None:
    make_supervisor("--subworkers", "2").start(**manager.watching(WATCHDOG))
    manager.wait_for("READY")
    manager.listen(3 * WATCHDOG)
    started = tmp_path / "started"
    job = enqueue(connection, "wait_for_file", path=str(tmp_path / "go"), started=str(started))
    until(started.exists)
    manager.listen(3 * WATCHDOG)  # one long job, and nothing to commit
    (tmp_path / "go").touch()
    assert finished(connection, job) == ["succeeded"]
    times = manager.times("WATCHDOG")
    assert len(times) >= 8
    assert (
        max(b - a for a, b in pairwise(times)) < 4 * WATCHDOG
    )  # of 0.25 s each: the machine may be busy


@contextmanager
def locked(connection: Connection, table: str) -> Iterator[None]:
    """Nobody gets at the table."""
    with connection.transaction():
        connection.execute(f"LOCK TABLE wsup.{table} IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def stopped_backend(connection: Connection) -> Iterator[None]:
    """The server's process for the turns doesn't move."""
    row = connection.execute(
        "SELECT pid FROM pg_stat_activity"
        " WHERE application_name = 'wsup supervisor' AND datname = current_database()"
        " ORDER BY backend_start LIMIT 1"
    ).fetchone()
    assert row is not None
    if not Path(f"/proc/{row[0]}").exists():
        pytest.skip("the server runs on another machine: its processes can't be stopped")
    os.kill(row[0], signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(row[0], signal.SIGCONT)


@pytest.mark.parametrize("how", ["lock", "backend"])
def test_the_watchdog_starves_while_results_can_not_be_committed(
    how: str, make_supervisor: Make, manager: NotifySocket, connection: Connection, tmp_path: Path
) -> None:
    supervisor = make_supervisor("--subworkers", "2").start(**manager.watching(WATCHDOG))
    manager.wait_for("READY")
    job = enqueue(connection, "wait_for_file", path=str(tmp_path / "go"))
    manager.wait_for("STATUS", "running: 1 of 2 subworkers busy")
    with locked(connection, "outcome") if how == "lock" else stopped_backend(connection):
        (tmp_path / "go").touch()
        manager.wait_for("STATUS", "1 results not committed for ")
        manager.drain()
        silence = manager.listen(3 * WATCHDOG)
        assert silence, "the status goes on being told: the loop runs"
        assert not any("WATCHDOG" in fields for fields in silence)
        assert supervisor.status()["done"] == 0
    manager.wait_for("WATCHDOG")
    assert finished(connection, job) == ["succeeded"]
    manager.wait_for("STATUS", ", 1 jobs done")


def test_a_server_that_hangs_with_nothing_to_commit_is_not_its_fault(
    make_supervisor: Make, manager: NotifySocket, database: str
) -> None:
    make_supervisor("--subworkers", "1", "--poll", "1").start(**manager.watching(WATCHDOG))
    manager.wait_for("READY")
    with psycopg.connect(database, autocommit=True) as other, locked(other, "supervisor"):
        until(
            lambda: other.execute("SELECT 1 FROM pg_locks WHERE NOT granted LIMIT 1").fetchone(),
            "a sign of life waits for the lock",
        )
        manager.drain()
        fed = [fields for fields in manager.listen(4 * WATCHDOG) if "WATCHDOG" in fields]
    assert len(fed) >= 4


def test_the_watchdog_starves_while_the_loop_hangs(
    make_supervisor: Make, manager: NotifySocket, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCK_THE_LOOP)
    supervisor = make_supervisor("--subworkers", "1")
    supervisor.start(**manager.watching(WATCHDOG), PYTHONPATH=str(tmp_path))
    manager.wait_for("READY")
    manager.wait_for("WATCHDOG")
    supervisor.send(signal.SIGPROF)
    until(lambda: manager.listen(WATCHDOG) == [], "the loop is blocked")
    manager.wait_for("WATCHDOG")
    supervisor.send(signal.SIGPROF)
    supervisor.send(signal.SIGABRT)  # as systemd does when the watchdog has starved
    supervisor.wait_for("Fatal Python error: Aborted").wait_for("supervisor/run.py")
