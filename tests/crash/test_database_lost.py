"""PostgreSQL goes away, comes back, turns read-only: nothing is lost, nothing runs twice."""

import signal
import time
from collections import Counter
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
    runs,
    until,
)
from servers import FAST, IMMEDIATE, OwnServer

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]

#: The jobs of which some are done, some run and some wait when something happens.
MANY = 3000


@pytest.mark.parametrize("how", [FAST, IMMEDIATE], ids=["fast", "immediate"])
def test_a_restart_of_the_server(
    make_supervisor: MakeSupervisor,
    own_server: OwnServer,
    own_database: str,
    tmp_path: Path,
    how: signal.Signals,
) -> None:
    supervisor = make_supervisor("--subworkers", "2", database=own_database).start()
    ledger = tmp_path / "ledger"
    with psycopg.connect(own_database, autocommit=True) as connection:
        jobs = enqueue_counts(connection, ledger, MANY)
        until(lambda: len(runs(ledger)) > MANY / 10)
        own_server.end(how)
    assert len(runs(ledger)) < MANY
    own_server.start()
    supervisor.wait_for("connected again")
    with psycopg.connect(own_database, autocommit=True) as connection:
        jobs += enqueue_counts(connection, ledger, 10)  # it listens again, too
        assert all_over(connection, jobs) == {"succeeded": len(jobs)}
    assert runs(ledger) == Counter(jobs)


def backends(connection: Connection) -> list[tuple[int, str]]:
    return connection.execute(
        "SELECT pid, application_name FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name LIKE 'wsup %' ORDER BY backend_start"
    ).fetchall()


def test_every_connection_is_terminated_in_turn(
    make_supervisor: MakeSupervisor, connection: Connection, tmp_path: Path
) -> None:
    supervisor = make_supervisor("--subworkers", "2").start()
    ledger = tmp_path / "ledger"
    jobs: list[int] = []
    while len(backends(connection)) < 3:  # the third one comes with dead rows to be cleared
        jobs += enqueue_counts(connection, ledger, MANY)
        assert all_over(connection, jobs) == {"succeeded": len(jobs)}
        assert len(jobs) < 100 * MANY
    assert [name for _, name in backends(connection)].count("wsup listener") == 1
    for name in ("wsup listener", "wsup supervisor", "wsup supervisor", "wsup listener"):
        jobs += enqueue_counts(connection, ledger, MANY)
        before = len(runs(ledger))
        until(lambda before=before: len(runs(ledger)) > before + MANY / 10)
        # The one that has been there for longest: so each has its turn.
        pid = next(pid for pid, whose in backends(connection) if whose == name)
        (gone,) = connection.execute("SELECT pg_terminate_backend(%s, 5000)", [pid]).fetchone()
        assert gone
    assert all_over(connection, jobs) == {"succeeded": len(jobs)}
    assert runs(ledger) == Counter(jobs)
    supervisor.wait_for("connected again", times=3)


@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=pytest.mark.slow)])
def test_an_outage(
    make_supervisor: MakeSupervisor,
    own_server: OwnServer,
    own_database: str,
    tmp_path: Path,
    seconds: float,
) -> None:
    """Results wait, no more jobs than were pulled are run, and nobody is taken for dead."""
    both = [
        make_supervisor("--subworkers", "2", "--batch", "50", database=own_database).start()
        for _ in range(2)
    ]
    ledger, go = tmp_path / "ledger", tmp_path / "go"
    with psycopg.connect(own_database, autocommit=True) as connection:
        jobs = [
            enqueue(connection, "wait_for_file", path=str(go), started=str(ledger))
            for _ in range(4)
        ]
        until(lambda: len(runs(ledger)) == 4)
        jobs += enqueue_counts(connection, ledger, MANY)
        own_server.end()
    go.touch()
    for supervisor in both:
        supervisor.wait_for("the database is lost")
        until(lambda s=supervisor: not s.status()["connected"])
        until(lambda s=supervisor: all(not member["jobs"] for member in s.status()["subworkers"]))
    time.sleep(seconds)  # so long nobody can do anything
    assert 4 <= len(runs(ledger)) <= 4 + 2 * 2 * 50
    own_server.start()
    with psycopg.connect(own_database, autocommit=True) as connection:
        assert all_over(connection, jobs) == {"succeeded": len(jobs)}
    assert runs(ledger) == Counter(jobs)
    for supervisor in both:
        supervisor.wait_for("connected again")
        assert "dead" not in supervisor.log


def test_while_stopping_it_reconnects_too(
    make_supervisor: MakeSupervisor, connection: Connection, tmp_path: Path
) -> None:
    """Or others would see a dead supervisor in one that waits for its last jobs."""
    supervisor = make_supervisor("--subworkers", "1").start()
    ledger, go = tmp_path / "ledger", tmp_path / "go"
    job = enqueue(connection, "wait_for_file", path=str(go), started=str(ledger))
    until(lambda: runs(ledger))
    supervisor.send(signal.SIGTERM)
    supervisor.wait_for("stopping")
    for pid, _ in backends(connection):
        connection.execute("SELECT pg_terminate_backend(%s)", [pid])
    supervisor.wait_for("connected again")
    go.touch()
    assert supervisor.stop() == 0
    assert finished(connection, job) == ["succeeded"]
    assert runs(ledger) == Counter([job])


def test_a_server_that_turns_read_only(
    make_supervisor: MakeSupervisor, own_server: OwnServer, own_database: str, tmp_path: Path
) -> None:
    supervisor = make_supervisor("--subworkers", "2", database=own_database).start()
    ledger, go = tmp_path / "ledger", tmp_path / "go"
    options = "-c default_transaction_read_only=off"
    with psycopg.connect(own_database, autocommit=True, options=options) as connection:
        job = enqueue(connection, "wait_for_file", path=str(go), started=str(ledger))
        until(lambda: runs(ledger))
        connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        connection.execute("SELECT pg_reload_conf()")
        try:
            go.touch()
            supervisor.wait_for("the server is read-only", times=2)  # it has tried again
        finally:
            connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
            connection.execute("SELECT pg_reload_conf()")
        assert finished(connection, job) == ["succeeded"]
        assert finished(connection, enqueue(connection, "noop")) == ["succeeded"]
    assert runs(ledger) == Counter([job])


def test_a_read_only_server_is_refused_at_the_start(
    make_supervisor: MakeSupervisor, database: str, connection: Connection
) -> None:
    name = connection.info.dbname
    connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    supervisor = make_supervisor("--connect-tries", "1").launch()
    supervisor.wait_for("<end of log>")
    assert supervisor.stop() == 2
    assert "wsup: the server is read-only: a standby, or" in supervisor.log
    assert "Traceback" not in supervisor.log
