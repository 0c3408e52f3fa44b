"""Who was taken for dead comes back as another one; who has just come back buries nobody."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from relay import Relay
from running import (
    Supervisor,
    alive,
    all_over,
    enqueue,
    enqueue_counts,
    finished,
    process_state,
    runs,
    until,
)

from wsup.supervisor.liveness import WITNESS_SECONDS

Connection = psycopg.Connection[Any]


@pytest.fixture
def relay(database: str, tmp_path: Path) -> Iterator[Relay]:
    relay = Relay(database, tmp_path)
    yield relay
    relay.close()


def test_nothing_is_pulled_in_the_name_of_the_dead(
    make_supervisor: Callable[..., Supervisor],
    connection: Connection,
    relay: Relay,
    tmp_path: Path,
) -> None:
    """What the old number pulled would be run, be refused, and run again once that is buried."""
    supervisor = make_supervisor("--subworkers", "2", database=relay.dsn).start()
    old = supervisor.status()["supervisor"]
    relay.change = lambda _data: None  # nothing comes through any more
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name LIKE 'wsup%' AND datname = current_database()"
    )
    supervisor.wait_for("the database is lost")
    connection.execute("SELECT wsup.rescue(%s, 5)", [old])
    started, go = tmp_path / "started", tmp_path / "go"
    jobs = [
        enqueue(connection, "wait_for_file", path=str(go), started=str(started)) for _ in range(2)
    ]
    relay.change = lambda data: data
    supervisor.wait_for("registered as supervisor", times=2)
    until(lambda: started.exists() and len(started.read_text().splitlines()) == len(jobs))
    new = supervisor.status()["supervisor"]
    assert new != old
    assert connection.execute("SELECT DISTINCT supervisor FROM wsup.claim").fetchall() == [(new,)]
    go.touch()
    assert finished(connection, *jobs) == ["succeeded"] * len(jobs)
    assert len(started.read_text().splitlines()) == len(jobs)


def test_who_can_not_listen_but_works_is_not_buried(
    make_supervisor: Callable[..., Supervisor],
    connection: Connection,
    relay: Relay,
    tmp_path: Path,
) -> None:
    """As when the server has no connection to spare: the lock stays free, and the beats go on."""
    first = make_supervisor("--subworkers", "1", "--listen", relay.dsn).start()
    second = make_supervisor("--subworkers", "1", "--poll", "1").start()
    second.ask("pause")
    started, go = tmp_path / "started", tmp_path / "go"
    job = enqueue(connection, "wait_for_file", path=str(go), started=str(started))
    until(started.exists)
    until(lambda: second.status()["uptime"] > WITNESS_SECONDS + 1)
    relay.change = lambda _data: None  # and each new connection is broken, too
    connection.execute(
        "SELECT pg_terminate_backend(l.pid) FROM pg_locks AS l"
        " WHERE l.locktype = 'advisory' AND l.classid = 2004055408 AND l.objid = %s",
        [first.status()["supervisor"]],
    )
    first.wait_for("again in", times=2)
    second.ask("resume")
    before = beats(connection)
    until(lambda: beats(connection) >= before + 8, "both have beaten for more than two seconds")
    assert "is dead" not in second.log
    relay.change = lambda data: data
    first.wait_for("connected again")
    go.touch()
    assert finished(connection, job) == ["succeeded"]
    assert len(started.read_text().splitlines()) == 1


def test_who_was_away_starts_nothing_before_it_knows_that_it_was_not_buried(
    make_supervisor: Callable[..., Supervisor], connection: Connection, tmp_path: Path
) -> None:
    """What it holds is others' by now, and may have been run by them."""
    first, second = (make_supervisor("--subworkers", "2", "--poll", "1").start() for _ in range(2))
    second.ask("pause")
    until(lambda: second.status()["uptime"] > WITNESS_SECONDS + 1)
    number, old = first.status()["supervisor"], set(first.subworker_pids())
    ledger = tmp_path / "ledger"
    jobs = enqueue_counts(connection, ledger, 20_000)
    until(ledger.exists)
    first.send(signal.SIGSTOP)
    connection.execute(
        "SELECT pg_terminate_backend(l.pid) FROM pg_locks AS l"
        " WHERE l.locktype = 'advisory' AND l.classid = 2004055408 AND l.objid = %s",
        [number],
    )
    second.wait_for(f"supervisor {number} is dead")
    until(lambda: are_idle(old, ledger), "its subworkers have done what they had")
    before = runs_by(old, ledger)
    first.send(signal.SIGCONT)
    first.wait_for("registered as supervisor", times=2)
    until(lambda: not any(alive(pid) for pid in old), "the old subworkers are gone")
    assert runs_by(old, ledger) == before
    second.ask("resume")
    assert all_over(connection, jobs) == {"succeeded": len(jobs)}
    assert set(runs(ledger)) == set(jobs)
    claims = connection.execute("SELECT count(*) FROM wsup.claim WHERE supervisor = %s", [number])
    assert claims.fetchone() == (0,)


def are_idle(pids: set[int], ledger: Path) -> bool:
    """They wait, and go on waiting: nothing tells that nothing more will be written."""
    before = ledger.stat().st_size
    waited = all(process_state(pid) == "S" for pid in pids)
    time.sleep(0.5)
    waited = waited and all(process_state(pid) == "S" for pid in pids)
    return waited and ledger.stat().st_size == before


def runs_by(pids: set[int], ledger: Path) -> int:
    """How many jobs these subworkers have run, by the ledger."""
    return sum(int(line.split()[2]) in pids for line in ledger.read_text().splitlines())


#: The number of a supervisor that is only a claim and a lock.
OTHER = 1000


def test_who_has_just_come_back_buries_nobody(
    make_supervisor: Callable[..., Supervisor], connection: Connection, database: str
) -> None:
    """A restart of the server takes everybody's lock, and somebody is the first one back."""
    supervisor = make_supervisor("--subworkers", "1", "--poll", "1").start()
    with closing(as_other(database)):
        connection.execute("SELECT wsup.enqueue('noop', queue => 'of the other one')")
        connection.execute("SELECT wsup.pull(%s, '{of the other one}', 1)", [OTHER])
        until(lambda: supervisor.status()["uptime"] > WITNESS_SECONDS + 1)
        began = time.monotonic()
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    supervisor.wait_for("connected again")
    before = beats(connection)
    until(lambda: beats(connection) >= before + 4, "it has seen for a while that the lock is free")
    with closing(as_other(database)):
        if time.monotonic() - began > WITNESS_SECONDS:
            pytest.skip("the machine is too busy: the other one has taken too long to come back")
        assert "is dead" not in supervisor.log
        assert connection.execute("SELECT supervisor FROM wsup.claim").fetchall() == [(OTHER,)]
    supervisor.wait_for(f"supervisor {OTHER} is dead: 1 of its jobs")  # it doesn't come again


def as_other(database: str) -> Connection:
    """The session in which that supervisor holds its lock."""
    session = psycopg.connect(database, autocommit=True)
    session.execute("SELECT pg_advisory_lock_shared(2004055408, %s)", [OTHER])
    return session


def beats(connection: Connection) -> int:
    row = connection.execute("SELECT sum(beat) FROM wsup.supervisor").fetchone()
    return int(row[0]) if row else 0
