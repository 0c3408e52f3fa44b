"""Async jobs are given ahead of their places, so that none of these stays empty; more never run."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from running import Supervisor, enqueue, finished, runs, state, until

Connection = psycopg.Connection[Any]


@pytest.fixture
def host(make_supervisor: Callable[..., Supervisor]) -> Supervisor:
    return make_supervisor("--subworkers", "1", "--concurrency", "2").start()


@pytest.fixture
def jobs(host: Supervisor, connection: Connection, tmp_path: Path) -> list[int]:
    """Four jobs that wait for a file, all with the one subworker: quick ones before them have
    taught that two may be given ahead."""
    go = tmp_path / "go"
    go.touch()
    with connection.transaction():
        quick = [enqueue(connection, "wait_async", path=str(go)) for _ in range(50)]
    assert set(finished(connection, *quick)) == {"succeeded"}
    go.unlink()
    with connection.transaction():
        made = [
            enqueue(connection, "wait_async", path=str(go), started=str(tmp_path / "started"))
            for _ in range(4)
        ]
    until(lambda: [state(connection, job) for job in made] == ["running"] * 4)
    until(lambda: begun(tmp_path) == made[:2])
    return made


def begun(folder: Path) -> list[int]:
    """The jobs that have begun, in their order."""
    return sorted(runs(folder / "started"))


def test_they_begin_as_others_end(jobs: list[int], connection: Connection, tmp_path: Path) -> None:
    assert begun(tmp_path) == jobs[:2]
    (tmp_path / "go").touch()
    assert set(finished(connection, *jobs)) == {"succeeded"}
    assert begun(tmp_path) == jobs


def test_one_that_has_no_place_yet_can_be_cancelled(
    jobs: list[int], connection: Connection, tmp_path: Path
) -> None:
    connection.execute("SELECT wsup.cancel(%s)", [jobs[2:3]])
    assert finished(connection, jobs[2]) == ["cancelled"]
    (tmp_path / "go").touch()
    assert finished(connection, *jobs) == ["succeeded", "succeeded", "cancelled", "succeeded"]
    assert jobs[2] not in begun(tmp_path)


def test_those_that_have_no_place_are_given_back_at_the_end(
    jobs: list[int], host: Supervisor, connection: Connection, tmp_path: Path
) -> None:
    host.send(signal.SIGTERM)
    until(lambda: [state(connection, job) for job in jobs] == ["running"] * 2 + ["ready"] * 2)
    (tmp_path / "go").touch()
    assert host.process is not None
    assert host.process.wait(20) == 0
    assert finished(connection, *jobs[:2]) == ["succeeded"] * 2
    assert begun(tmp_path) == jobs[:2]


def test_those_that_have_no_place_are_not_lost_with_their_subworker(
    jobs: list[int], host: Supervisor, connection: Connection, tmp_path: Path
) -> None:
    os.kill(host.subworker_pids()[0], signal.SIGKILL)
    (tmp_path / "go").touch()
    assert finished(connection, *jobs)[2:] == ["succeeded"] * 2
    assert connection.execute("SELECT DISTINCT job FROM wsup.failure ORDER BY 1").fetchall() == [
        (jobs[0],), (jobs[1],),
    ]  # fmt: skip
