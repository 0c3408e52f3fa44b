"""Keys, while what holds their turns is killed."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from lined_up import begun, most_at_once
from roles import grant, roles_on
from running import Supervisor, all_over, finished, until

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]
KEYS = "abc"


@pytest.fixture(scope="module", autouse=True)
def _roles(server: str) -> Iterator[None]:
    with roles_on(server):
        yield


def enqueue(connection: Connection, ledger: Path, n: int) -> list[int]:
    """So many jobs of each key, of 10 ms each."""
    rows = connection.execute(
        "INSERT INTO wsup.job (task, key, args)"
        " SELECT 'work', k.key,"
        "        json_build_object('ledger', %s::text, 'key', k.key, 'seconds', 0.01)"
        "   FROM generate_series(1, %s) n, unnest(%s::text[]) AS k(key) RETURNING id",
        [str(ledger), n, list(KEYS)],
    )
    return [row[0] for row in rows]


def test_no_turn_is_lost_and_none_is_given_twice(
    make_supervisor: MakeSupervisor, connection: Connection, database: str, tmp_path: Path
) -> None:
    """By supervisors with the least rights; one is killed and started again, and so is a
    subworker of the other."""
    ledger = tmp_path / "ledger"
    role = grant(database)["run"]
    hosts = [
        make_supervisor("--subworkers", "3", app="lined_up:app", database=role).start()
        for _ in range(2)
    ]
    jobs = enqueue(connection, ledger, 60)
    for number, (killed, other) in enumerate((hosts, hosts[::-1])):
        until(lambda n=40 * (number + 1): len(begun(ledger)) > n)
        killed.kill()
        os.kill(other.subworker_pids()[0], signal.SIGKILL)
        killed.start()
    outcomes = all_over(connection, jobs)
    assert outcomes == {"succeeded": len(jobs)}
    query = "SELECT job FROM wsup.failure WHERE type = 'SubworkerDied'"
    dead = {
        row[0] for row in connection.execute(query)
    }  # they wrote no end before they were put off
    for key in KEYS:
        assert most_at_once(ledger, key, but=dead) == 1
    assert connection.execute("SELECT FROM wsup.key_holder").rowcount == 0
    for host in hosts:
        assert "permission denied" not in host.log


def test_a_turn_outlives_its_supervisor(
    make_supervisor: MakeSupervisor, connection: Connection, tmp_path: Path
) -> None:
    """Nobody gets in before the job that was interrupted: it has the turn still."""
    ledger = tmp_path / "ledger"
    host = make_supervisor("--subworkers", "1", app="lined_up:app").start()
    (held,) = (
        row[0]
        for row in connection.execute(
            "SELECT wsup.enqueue('work', jsonb_build_object('ledger', %s::text, 'key', 'a',"
            " 'until', %s::text), key => 'a')",
            [str(ledger), str(tmp_path / "go")],
        )
    )
    until(lambda: begun(ledger))
    others = enqueue(connection, ledger, 3)
    host.kill()
    host.start()  # rescues what its predecessor held
    until(lambda: begun(ledger).count(held) == 2)
    (tmp_path / "go").touch()
    assert set(finished(connection, held, *others)) == {"succeeded"}
    assert most_at_once(ledger, "a") == 1
