"""A supervisor whose database role may run jobs, and nothing else."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from roles import grant, roles_on
from running import Supervisor, enqueue, finished, until

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module", autouse=True)
def _roles(server: str) -> Iterator[None]:
    with roles_on(server):
        yield


def test_the_running_role_suffices(
    make_supervisor: Callable[..., Supervisor],
    connection: Connection,
    database: str,
    tmp_path: Path,
) -> None:
    role = grant(database)["run"]
    supervisor = make_supervisor("--subworkers", "2", database=role).start()
    jobs = [
        enqueue(connection, "add", a=1, b=2),
        enqueue(connection, "fail"),
        enqueue(connection, "cancel"),
        enqueue(connection, "snooze", path=str(tmp_path / "snoozed")),
        enqueue(connection, "die_once", path=str(tmp_path / "died")),
    ]
    expected = ["succeeded", "failed", "cancelled", "succeeded", "failed"]
    assert finished(connection, *jobs) == expected

    started = tmp_path / "started"
    path = tmp_path / "go"
    job = enqueue(connection, "wait_for_file", path=str(path), started=str(started))
    until(started.exists)
    supervisor.kill()
    supervisor.start()  # rescues what its predecessor held
    path.touch()
    assert finished(connection, job) == ["succeeded"]
    assert supervisor.ask("reload")["ok"]
    assert supervisor.stop() == 0
    assert "permission denied" not in supervisor.log
    assert connection.execute("SELECT count(*) FROM wsup.supervisor").fetchone() == (0,)
