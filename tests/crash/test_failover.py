"""The primary dies, its standby takes over: what was committed is there, what was not is redone."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from running import Supervisor, all_over, enqueue_counts, runs, until
from servers import IMMEDIATE, OwnServer

MANY = 3000


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[OwnServer, OwnServer]]:
    """A primary and its synchronous standby."""
    primary = OwnServer(tmp_path_factory.mktemp("primary"))
    primary.start()
    try:
        standby = primary.start_standby(tmp_path_factory.mktemp("standby"))
        try:
            yield primary, standby
        finally:
            standby.remove()
    finally:
        primary.remove()


def test_a_failover_to_a_synchronous_standby(
    make_supervisor: Callable[..., Supervisor],
    pair: tuple[OwnServer, OwnServer],
    tmp_path: Path,
) -> None:
    primary, standby = pair
    primary.make_database("app")
    # The standby first: it must be passed over while it is one.
    hosts = [conninfo_to_dict(server.dsn)["host"] for server in (standby, primary)]
    database = make_conninfo(
        user="postgres",
        dbname="app",
        host=",".join(map(str, hosts)),
        port="5432,5432",
        target_session_attrs="read-write",
    )
    supervisor = make_supervisor("--subworkers", "2", database=database).start()
    ledger = tmp_path / "ledger"
    with psycopg.connect(database, autocommit=True) as connection:
        jobs = enqueue_counts(connection, ledger, MANY)
        until(lambda: len(runs(ledger)) > MANY / 10)
        primary.end(IMMEDIATE)
    assert len(runs(ledger)) < MANY
    supervisor.wait_for("can't connect")  # nobody is a primary for now
    with standby.connect() as connection:
        connection.execute("SELECT pg_promote()")
        connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
        connection.execute("SELECT pg_reload_conf()")
    with psycopg.connect(database, autocommit=True) as connection:
        jobs += enqueue_counts(connection, ledger, 10)
        assert all_over(connection, jobs) == {"succeeded": len(jobs)}
    # None of them twice, either: what the standby hadn't got, nobody had been told of.
    assert runs(ledger) == Counter(jobs)
    supervisor.wait_for("connected again")
