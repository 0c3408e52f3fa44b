"""Limits on several real supervisors."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import limited
import psycopg
import pytest
from limited import app, lines, most_at_once, starts
from running import Supervisor, all_asleep, all_over, until

Connection = psycopg.Connection[Any]
Make = Callable[..., Supervisor]


@pytest.fixture
def hosts(make_supervisor: Make, connection: Connection) -> list[Supervisor]:
    """Three supervisors that have told the database of the limits, asleep."""
    made = [
        make_supervisor("--subworkers", "3", "--queues", "default,few,narrow", app="limited:app")
        for _ in range(3)
    ]
    for host in made:
        host.launch()
    for host in made:
        host.wait_for("ready:")
    until(lambda: connection.execute("SELECT FROM wsup.limits").rowcount == 4)
    until(lambda: all_asleep(connection, 3))
    return made


@pytest.fixture(autouse=True)
def own_app(database: str) -> Iterator[None]:
    app.database = database
    yield
    app.close()


@pytest.mark.usefixtures("hosts")
def test_no_limit_is_exceeded_and_each_is_reached(connection: Connection, tmp_path: Path) -> None:
    """A task's, a queue's, whatever the task, and a rate; all at once."""
    few, narrow, paced = (tmp_path / name for name in ("few", "narrow", "paced"))
    jobs = limited.few.enqueue_many([(str(few), 0.005) for _ in range(150)])
    jobs += limited.few.options(queue="narrow").enqueue_many([(str(narrow),) for _ in range(15)])
    jobs += limited.free.options(queue="narrow").enqueue_many([(str(narrow),) for _ in range(15)])
    jobs += limited.paced.enqueue_many([(str(paced),) for _ in range(70)])
    assert all_over(connection, [job.id for job in jobs]) == {"succeeded": 250}
    assert (most_at_once(few), most_at_once(narrow)) == (3, 1)
    assert connection.execute("SELECT FROM wsup.key_holder").rowcount == 0
    # Within any span no more than had been saved up and came in it, and a batch: of 0.25 s, for
    # between being let in and being started there is some way.
    began = starts(paced)
    for first in range(70):
        for last in range(first + 1, 70):
            assert last - first < 10 + 40 * (began[last] - began[first] + 0.25) + 1
    assert began[-1] - began[0] < 5


def test_turns_of_killed_holders_are_not_lost(
    hosts: list[Supervisor], connection: Connection, tmp_path: Path
) -> None:
    """A subworker, and a supervisor while its jobs run."""
    ledger, go = tmp_path / "ledger", tmp_path / "go"
    jobs = [limited.few.enqueue(str(ledger), dies=True)]
    jobs += limited.few.enqueue_many([(str(ledger), 0.0, str(go)) for _ in range(12)])
    until(lambda: len(starts(ledger)) == 4)
    where = lines(ledger)[-1][2]
    (host,) = (host for host in hosts if host.folder.name == where)
    host.kill()
    go.touch()
    assert all_over(connection, [job.id for job in jobs]) == {"succeeded": 12, "failed": 1}
    assert connection.execute("SELECT FROM wsup.key_holder").rowcount == 0


@pytest.mark.usefixtures("hosts")
def test_so_many_on_each_host(connection: Connection, tmp_path: Path) -> None:
    """And others run meanwhile, though 10,000 stand before them."""
    ledger, others, go = tmp_path / "ledger", tmp_path / "others", tmp_path / "go"
    connection.execute(
        "INSERT INTO wsup.job (task, args) SELECT 'hosted', json_build_object("
        "  'ledger', %s::text, 'until', %s::text) FROM generate_series(1, 10000)",
        [str(ledger), str(go)],
    )
    until(lambda: len(starts(ledger)) == 6)
    jobs = limited.free.enqueue_many([(str(others),) for _ in range(500)])
    assert all_over(connection, [job.id for job in jobs]) == {"succeeded": 500}
    assert [most_at_once(ledger, f"host{n}") for n in range(3)] == [2, 2, 2]
    connection.execute("DELETE FROM wsup.ready WHERE job NOT IN (SELECT min(job) FROM wsup.ready)")
    go.touch()
    until(lambda: len(starts(ledger)) == 7)
    until(lambda: connection.execute("SELECT FROM wsup.claim").rowcount == 0)
    assert most_at_once(ledger) == 6


def test_changes_while_jobs_wait_and_run(
    hosts: list[Supervisor], connection: Connection, tmp_path: Path
) -> None:
    """By hand; and by another version of the code."""
    ledger, go = tmp_path / "ledger", tmp_path / "go"
    jobs = limited.few.enqueue_many([(str(ledger), 0.0, str(go)) for _ in range(8)])
    until(lambda: len(starts(ledger)) == 3)
    app.set_limit(task="few", max_running=5)
    until(lambda: len(starts(ledger)) == 5)
    app.reset_limit(task="few")
    for host in hosts:
        file = host.folder / "limited.py"
        # Of another length: within one second, Python can't tell two of the same length apart.
        file.write_text(file.read_text().replace("max_running=3", "max_running=+7"))
    hosts[0].send(signal.SIGHUP)
    until(lambda: len(starts(ledger)) == 7)
    app.set_limit(task="few")
    until(lambda: len(starts(ledger)) == 8)
    go.touch()
    assert all_over(connection, [job.id for job in jobs]) == {"succeeded": 8}
