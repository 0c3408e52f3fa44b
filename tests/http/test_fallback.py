"""A host that has a server and a database: the one, and the other while the one is away."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from running import Supervisor, all_over, enqueue_counts, runs, until

Connection = psycopg.Connection[Any]


def via(connection: Connection) -> tuple[str, Any]:
    row = connection.execute(
        "SELECT via, via_since FROM wsup.supervisor WHERE subworkers = 2"
    ).fetchone()
    assert row is not None
    return row


@pytest.mark.slow
def test_the_database_is_asked_while_the_server_is_away(
    served: Any, make_supervisor: Callable[..., Supervisor], connection: Connection, tmp_path: Path
) -> None:
    """With the same row, and nothing lost or run twice by either change."""
    ledger = tmp_path / "ledger"
    agent = make_supervisor("--source", served.url, "--subworkers", "2").start()
    first, since = via(connection)
    assert first == "http"
    jobs = enqueue_counts(connection, ledger, 1500)
    until(lambda: len(runs(ledger)) > 300, "some jobs have run")
    served.kill()
    agent.wait_for("jobs come from the database")
    until(lambda: via(connection)[0] == "sql", "its row says so")
    jobs += enqueue_counts(connection, ledger, 1500)
    assert all_over(connection, jobs) == {"succeeded": 3000}
    served.start()
    agent.wait_for("jobs come from the server", times=2)
    until(lambda: via(connection)[0] == "http", "its row says so")
    assert via(connection)[1] > since
    more = enqueue_counts(connection, ledger, 500)
    assert all_over(connection, more) == {"succeeded": 500}
    assert runs(ledger) == dict.fromkeys(jobs + more, 1)
    assert agent.log.count("registered as supervisor") == 1
    assert agent.stop() == 0


@pytest.mark.slow
def test_a_host_starts_without_its_server(
    served: Any, make_supervisor: Callable[..., Supervisor], connection: Connection, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    url = served.url
    served.stop()
    agent = make_supervisor("--source", url, "--subworkers", "2").start()
    assert all_over(connection, enqueue_counts(connection, ledger, 10)) == {"succeeded": 10}
    served.start()
    agent.wait_for("jobs come from the server")
    assert all_over(connection, enqueue_counts(connection, ledger, 10)) == {"succeeded": 10}
    assert agent.log.count("registered as supervisor") == 1
