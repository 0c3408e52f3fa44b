"""What a job keeps for its next attempt, whatever ends this one."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from running import Supervisor, enqueue, failures, finished, result, until

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]

KINDS = [("steps", "sync"), ("steps", "both"), ("steps_async", "both")]


@pytest.mark.parametrize(("task", "kind"), KINDS)
@pytest.mark.parametrize("how", ["fail", "kill"])
def test_the_next_attempt_goes_on_from_there(
    how: str, task: str, kind: str, make_supervisor: MakeSupervisor, connection: Connection
) -> None:
    """Also if the process was killed right after it was kept."""
    make_supervisor("--subworkers", "1", app=f"noting:{kind}").start()
    job = enqueue(connection, task, how=how)
    assert result(connection, job) == [0, 2]
    kind = {"fail": "ValueError", "kill": "SubworkerDied"}[how]
    assert [failure[1] for failure in failures(connection, job)] == [kind]


def test_other_options_of_the_job_come_along(
    make_supervisor: MakeSupervisor, connection: Connection
) -> None:
    make_supervisor("--subworkers", "1", app="noting:sync").start()
    query = """SELECT wsup.enqueue('steps', '{"how": "fail"}', retries => 0)"""
    (job,) = connection.execute(query).fetchone() or (0,)
    assert finished(connection, job) == ["failed"]
    connection.execute("SELECT wsup.retry(ARRAY[%s::bigint])", [job])
    assert result(connection, job) == [0, 2]


def test_it_survives_the_supervisor(
    make_supervisor: MakeSupervisor, connection: Connection, tmp_path: Path
) -> None:
    first = make_supervisor("--subworkers", "1", app="noting:sync").start()
    job = enqueue(connection, "steps", how="wait", path=str(tmp_path / "go"))
    until(lambda: connection.execute("SELECT FROM wsup.checkpoint").rowcount)
    first.kill()
    (tmp_path / "go").touch()
    first.start()
    assert result(connection, job) == [0, 2]


def test_what_is_pulled_with_it_gets_none(
    make_supervisor: MakeSupervisor, connection: Connection
) -> None:
    """Jobs with and without one, between each other, in one pull."""
    jobs = [enqueue(connection, "steps", how="go on") for _ in range(5)]
    for job in jobs[1::2]:
        connection.execute(
            "INSERT INTO wsup.checkpoint (job, attempt, value) VALUES (%s, 1, '[-1, 0, 1, 2]')",
            [job],
        )
    make_supervisor("--subworkers", "1", app="noting:sync").start()
    assert [result(connection, job) for job in jobs] == [[0], [0, 3], [0], [0, 3], [0]]


def test_what_cannot_be_kept(make_supervisor: MakeSupervisor, connection: Connection) -> None:
    make_supervisor("--subworkers", "1", app="noting:sync").start()
    job = enqueue(connection, "too_much")
    large, strange, nan, lone, other = result(connection, job)
    assert "takes 70,002 bytes of JSON, the limit is 65,536; store it elsewhere" in large
    for told in (strange, nan, lone):
        assert told.startswith("CheckpointError: checkpoint: JSON can't carry it: ")
    assert other.startswith('CheckpointError: checkpoint: b\'{"kept":"\\\\u0000"}\' is no int')
    rows = connection.execute("SELECT value::text FROM wsup.checkpoint").fetchall()
    assert rows == [('{"kept":"\\u0000"}',)]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_keeps_it(
    signum: signal.Signals,
    make_supervisor: MakeSupervisor,
    connection: Connection,
    tmp_path: Path,
) -> None:
    """Of a job that is given back, at the same attempt."""
    first = make_supervisor("--subworkers", "1", "--grace", "0.1", app="noting:sync").start()
    job = enqueue(connection, "steps", how="wait", path=str(tmp_path / "go"))
    until((tmp_path / "go.there").exists)
    assert first.stop(signum) == 0
    (tmp_path / "go").touch()
    first.start()
    assert result(connection, job) == [0, 2]
    assert failures(connection, job) == []
