"""What a job has said until then is there, whatever dies, and once, whatever gets lost."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from relay import Relay
from running import Supervisor, enqueue, finished, result, until

from wsup import App

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]
#: How the server says that it has committed: CommandComplete, 11 bytes, COMMIT.
COMMITTED = b"C\0\0\0\x0bCOMMIT\0"


@pytest.fixture
def relay(database: str, tmp_path: Path) -> Iterator[Relay]:
    folder = tmp_path / "relay"
    folder.mkdir()
    relay = Relay(database, folder)
    yield relay
    relay.close()


def test_replies_that_get_lost(
    make_supervisor: MakeSupervisor, connection: Connection, relay: Relay, database: str
) -> None:
    """Turns with lines are committed, and nobody hears of it: they are sent again."""
    host = make_supervisor("--subworkers", "2", app="talking:sync", database=relay.dsn).start()
    left = [3]

    def cut(data: bytes) -> bytes | None:
        if left[0] and COMMITTED in data:
            left[0] -= 1
            return None
        return data

    relay.change = cut
    jobs = [enqueue(connection, "slowly", lines=20) for _ in range(4)]
    finished(connection, *jobs)
    assert left == [0], host.log
    app = App(database)
    for job in jobs:
        texts = [line.text for line in app.job(job).logs() if line.attempt == 1]
        assert texts == [str(n) for n in range(20)]


def test_the_supervisor_is_killed(
    make_supervisor: MakeSupervisor, connection: Connection, database: str, tmp_path: Path
) -> None:
    app = App(database)
    first = make_supervisor("--subworkers", "1", app="talking:sync").start()
    job = app.job(enqueue(connection, "wait_in_thread", path=str(tmp_path / "go")))
    until(job.logs)
    first.kill()
    (tmp_path / "go").touch()
    first.start()
    assert result(connection, job.id) is None
    assert [(line.attempt, line.text) for line in job.logs()] == [(1, "it has begun")] * 2
