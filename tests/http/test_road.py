"""A job's road over a server: the whole of it, with real processes."""

from collections.abc import Callable
from importlib.metadata import version
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
    result,
    runs,
    sleepers,
    until,
)

Connection = psycopg.Connection[Any]


def test_a_job_runs_on_a_host_without_a_database(
    served: Any, make_agent: Callable[..., Supervisor], connection: Connection
) -> None:
    agent = make_agent(served, "--subworkers", "2").start()
    until(lambda: sleepers(connection) == 1, "the server sleeps")
    assert result(connection, enqueue(connection, "add", a=1, b=2)) == 3
    failed = enqueue(connection, "fail")
    assert finished(connection, failed) == ["failed"]
    row = connection.execute(
        "SELECT direct, agent, via, via_since > started_at - interval '1 s', version, cpus > 0"
        "  FROM wsup.supervisor WHERE subworkers = 2"
    )
    assert row.fetchone() == (False, "anybody", "http", True, version("wsup"), True)
    beaten = "SELECT FROM wsup.supervisor WHERE memory > 0 AND cardinality(occupancy) = 3"
    until(lambda: connection.execute(beaten).rowcount == 1, "its sign of life says more")
    assert agent.stop() == 0
    assert connection.execute(
        "SELECT count(*) FROM wsup.supervisor WHERE subworkers = 2"
    ).fetchone() == (0,)
    assert served.stop() == 0
    assert connection.execute("SELECT count(*) FROM wsup.supervisor").fetchone() == (0,)


@pytest.mark.slow
def test_several_share_the_jobs_of_one_server(
    served: Any,
    make_agent: Callable[..., Supervisor],
    connection: Connection,
    tmp_path: Path,
) -> None:
    ledger = tmp_path / "ledger"
    agents = [make_agent(served, "--subworkers", "2").start() for _ in range(3)]
    jobs = enqueue_counts(connection, ledger, 3000)
    assert all_over(connection, jobs) == {"succeeded": 3000}
    assert runs(ledger) == dict.fromkeys(jobs, 1)
    by_agent = connection.execute(
        "SELECT supervisor, count(*) FROM wsup.outcome GROUP BY supervisor"
    ).fetchall()
    assert len(by_agent) == len(agents)
