"""PgBouncer in transaction mode between a supervisor and its database."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pooler import PROGRAM, Pooler
from psycopg.conninfo import make_conninfo
from relay import Relay
from running import Supervisor, all_over, enqueue, enqueue_counts, finished, runs, sleepers, until

pytestmark = pytest.mark.skipif(
    PROGRAM is None,
    reason="PgBouncer is not installed: apt-get install pgbouncer",
)
Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]

#: Held by supervisors; the number 0 is the migrations'.
LOCKS = """
    SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
     WHERE d.datname = current_database() AND l.locktype = 'advisory'
       AND l.classid = 2004055408 AND l.objid <> 0
"""


@pytest.fixture
def pooler(database: str) -> Iterator[Pooler]:
    pooler = Pooler(database).start()
    yield pooler
    pooler.remove()


def test_all_but_the_listener_goes_through_the_pooler(
    make_supervisor: MakeSupervisor,
    pooler: Pooler,
    database: str,
    connection: Connection,
    tmp_path: Path,
) -> None:
    direct = make_conninfo(database, application_name="direct")
    flags = ("--subworkers", "2", "--poll", "60", "--listen", direct)
    supervisor = make_supervisor(*flags, database=pooler.dsn).start()
    ledger = tmp_path / "ledger"
    jobs = enqueue_counts(connection, ledger, 2000)
    assert all_over(connection, jobs) == {"succeeded": len(jobs)}
    until(lambda: sleepers(connection))
    assert finished(connection, enqueue(connection, "noop"), patience=10) == ["succeeded"]
    query = "SELECT FROM pg_stat_activity WHERE datname = current_database()"
    assert connection.execute(query + " AND application_name = 'direct'").rowcount == 1
    assert connection.execute(LOCKS).rowcount == 1
    assert runs(ledger) == Counter(jobs)
    assert "lost" not in supervisor.log


def test_without_a_listener_jobs_are_found_by_polling(
    make_supervisor: MakeSupervisor, pooler: Pooler, connection: Connection, tmp_path: Path
) -> None:
    flags = ("--subworkers", "2", "--poll", "60", "--listen", "off")
    supervisor = make_supervisor(*flags, database=pooler.dsn).start()
    ledger = tmp_path / "ledger"
    for _ in range(3):
        jobs = enqueue_counts(connection, ledger, 300)
        assert all_over(connection, jobs) == {"succeeded": len(jobs)}
    assert len(runs(ledger)) == 900
    assert set(runs(ledger).values()) == {1}
    # A lock would stay with whatever connection of the pooler's it was taken on.
    assert connection.execute(LOCKS).rowcount == 0
    assert not sleepers(connection)  # writers needn't call who can't hear
    number = supervisor.status()["supervisor"]
    peers = connection.execute("SELECT id, connected FROM wsup.peers(0)").fetchall()
    assert peers == [(number, True)]  # so only its lease may end
    assert "lost" not in supervisor.log


def test_it_can_stop_and_start_again_without_a_listener(
    make_supervisor: MakeSupervisor, pooler: Pooler, connection: Connection, tmp_path: Path
) -> None:
    """Killed, its own restart gives its jobs back at once, as with a listener."""
    flags = ("--subworkers", "1", "--listen", "off")
    supervisor = make_supervisor(*flags, database=pooler.dsn).start()
    started, go = tmp_path / "started", tmp_path / "go"
    job = enqueue(connection, "wait_for_file", path=str(go), started=str(started))
    until(lambda: runs(started))
    supervisor.kill()
    go.touch()
    supervisor.start()
    assert finished(connection, job) == ["succeeded"]
    assert supervisor.stop() == 0


@pytest.mark.parametrize("listens", [True, False])
def test_the_pooler_is_killed_and_comes_back(
    make_supervisor: MakeSupervisor,
    pooler: Pooler,
    database: str,
    connection: Connection,
    tmp_path: Path,
    listens: bool,
) -> None:
    flags = ("--subworkers", "2", "--listen", database if listens else "off")
    supervisor = make_supervisor(*flags, database=pooler.dsn).start()
    ledger = tmp_path / "ledger"
    jobs = enqueue_counts(connection, ledger, 3000)
    until(lambda: len(runs(ledger)) > 300)
    pooler.kill()
    supervisor.wait_for("can't connect to")
    pooler.start()
    assert all_over(connection, jobs) == {"succeeded": len(jobs)}
    assert runs(ledger) == Counter(jobs)


def test_the_process_that_served_it_is_left_to_others(
    make_supervisor: MakeSupervisor, pooler: Pooler, connection: Connection, tmp_path: Path
) -> None:
    """Without a pooler it is ended after a lost connection, because it may hold locks; here it may
    have another client by now."""
    folder = tmp_path / "relay"
    folder.mkdir()
    relay = Relay(pooler.dsn, folder)
    supervisor = make_supervisor("--listen", "off", database=relay.dsn).start()
    serving = "SELECT pid FROM pg_stat_activity WHERE application_name = 'wsup supervisor'"
    (before,) = connection.execute(serving + " AND datname = current_database()").fetchall()
    relay.change = lambda _data: None  # nothing comes through any more
    supervisor.wait_for("can't connect to")
    with psycopg.connect(pooler.dsn) as other:
        assert other.execute("SELECT pg_backend_pid()").fetchone() == before
        relay.change = lambda data: data
        supervisor.wait_for("connected again")
        assert other.execute("SELECT 1").fetchone() == (1,)
    assert finished(connection, enqueue(connection, "noop")) == ["succeeded"]
    assert supervisor.stop() == 0
    relay.close()


def refusal(supervisor: Supervisor) -> str:
    supervisor.launch().wait_for("<end of log>")
    assert supervisor.stop() == 2
    (line,) = supervisor.lines[:-1]
    return line


def test_a_pooler_is_not_taken_for_a_direct_connection(
    make_supervisor: MakeSupervisor, pooler: Pooler, database: str
) -> None:
    assert "name PostgreSQL itself with --listen" in refusal(make_supervisor(database=pooler.dsn))
    secret = make_conninfo(pooler.dsn, password="geheim")
    line = refusal(make_supervisor("--listen", secret))
    assert line.startswith("wsup: listen = ")
    assert "it leads to a pooler" in line
    assert "geheim" not in line


def test_the_direct_connection_must_lead_to_the_same_database(
    make_supervisor: MakeSupervisor, pooler: Pooler, database: str
) -> None:
    other = make_conninfo(database, dbname="postgres")
    line = refusal(make_supervisor("--listen", other, database=pooler.dsn))
    assert "dbname=postgres" in line
    assert "it leads to another database than database does" in line
