"""An idle system: woken at once, and near to silent."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from counted import calls, count_statements
from running import Supervisor, enqueue, finished, sleepers, state, until

Connection = psycopg.Connection[Any]


def test_a_job_of_a_transaction_that_was_open_before_is_found(
    make_supervisor: Callable[..., Supervisor],
    connection: Connection,
    database: str,
    tmp_path: Path,
) -> None:
    """Its writer saw nobody sleep, and so called nobody; the sleeper, which can't see the job yet,
    must look again until that writer has ended."""
    supervisor = make_supervisor("--subworkers", "1", "--batch", "10", "--poll", "60").start()
    started, go = tmp_path / "started", tmp_path / "go"
    # So many that they are pulled more than once: after the first pull, it still counts as asleep.
    with psycopg.connect(database) as writer:
        for _ in range(30):
            enqueue(writer, "noop")
        busy = [
            enqueue(writer, "wait_for_file", path=str(go), started=str(started)) for _ in range(300)
        ]
    until(started.exists)
    assert supervisor.status()["queued"] < 300
    assert not sleepers(connection)
    with psycopg.connect(database) as writer:
        job = enqueue(writer, "noop")
        go.touch()
        finished(connection, *busy)
        until(lambda: sleepers(connection))
        writer.commit()
    assert finished(connection, job, patience=5) == ["succeeded"]


def test_a_rolled_back_job_never_runs(
    supervisor: Supervisor, connection: Connection, database: str
) -> None:
    with psycopg.connect(database) as writer:
        job = enqueue(writer, "noop")
        writer.rollback()
    assert finished(connection, enqueue(connection, "noop")) == ["succeeded"]
    assert state(connection, job) is None


def test_an_idle_supervisor_is_silent(
    make_supervisor: Callable[..., Supervisor], connection: Connection, database: str
) -> None:
    """Under 30 statements a minute: counted over some seconds by the server's own statistics."""
    count_statements(connection)
    make_supervisor("--subworkers", "2").start()
    finished(connection, enqueue(connection, "noop"))
    until(lambda: sleepers(connection))
    until(lambda: is_silent(connection), "it has looked for the last time")

    before = calls(connection)
    time.sleep(6)  # what is measured is that nothing happens
    assert calls(connection) - before <= 3


def is_silent(connection: Connection) -> bool:
    """It has said that it sleeps before it looks for those who have not heard that."""
    before = calls(connection)
    time.sleep(0.2)
    return calls(connection) == before


def test_nothing_is_asked_while_every_subworker_has_work(
    make_supervisor: Callable[..., Supervisor], connection: Connection, tmp_path: Path
) -> None:
    """Demand drives the pull, not a timer. (What an async task could run beside is asked for.)"""
    count_statements(connection)
    make_supervisor("--subworkers", "1").start()
    until(lambda: sleepers(connection))
    started, go = tmp_path / "started", tmp_path / "go"
    long = enqueue(connection, "wait_for_file", path=str(go), started=str(started))
    until(started.exists)

    def pulls() -> int:
        return calls(connection, "%wsup.pull(%")

    before = pulls()
    assert before > 0
    with connection.transaction():
        ready = [enqueue(connection, "noop") for _ in range(20)]
    time.sleep(1)  # what is measured is that nothing happens
    assert pulls() - before <= 3
    go.touch()
    assert set(finished(connection, long, *ready)) == {"succeeded"}
    assert pulls() > before


def test_none_is_missed_between_waking_and_falling_asleep(
    make_supervisor: Callable[..., Supervisor], connection: Connection, database: str
) -> None:
    """Writers that never pause for long hit every moment of it; nobody polls for a minute."""
    make_supervisor("--subworkers", "2", "--poll", "60").start()
    jobs: list[int] = []

    def write(seed: int) -> None:
        pauses = random.Random(seed)
        with psycopg.connect(database, autocommit=True) as writer:
            for _ in range(150):
                time.sleep(pauses.uniform(0, 0.006))  # what is tried are all the distances
                jobs.append(enqueue(writer, "noop"))

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert set(finished(connection, *jobs, patience=5)) == {"succeeded"}


def test_a_call_for_a_waiting_job_is_not_taken_for_one_of_a_ready_job(
    make_supervisor: Callable[..., Supervisor], connection: Connection, database: str
) -> None:
    """One transaction makes both, and the server sends equal calls once."""
    make_supervisor("--subworkers", "1", "--poll", "60").start()
    until(lambda: sleepers(connection))
    with psycopg.connect(database) as writer:
        ready = enqueue(writer, "noop")
        row = writer.execute("SELECT wsup.enqueue('noop', delay => interval '0.3 s')").fetchone()
        assert row is not None
    assert finished(connection, ready, int(row[0]), patience=5) == ["succeeded"] * 2
