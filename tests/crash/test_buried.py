"""A supervisor that was taken for dead while it could not be reached comes back as another one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from relay import Relay
from running import Supervisor, enqueue, finished, until

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
