"""Time-outs: an exception first, then SIGKILL; and only the job that took too long is to blame."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from running import Supervisor, alive, enqueue, failures, finished, result, until

Connection = psycopg.Connection[Any]
Hostile = Callable[..., Supervisor]

SOFT = "the time-out was reached"
HARD = "went on for 0.3 s after its time-out: SIGKILL"


def flags(subworkers: int) -> list[str]:
    return ["--subworkers", str(subworkers), "--kill-grace", "0.3"]


def test_an_attempt_past_its_time_is_ended_and_retried(
    hostile: Hostile, connection: Connection
) -> None:
    """By an exception; where that is caught, or can't be raised for C code runs, by SIGKILL."""
    supervisor = hostile(*flags(4))
    ends = {"sleep": SOFT, "catch": HARD, "c code": HARD, "c code with the GIL": HARD}
    jobs = {how: enqueue(connection, "overrun", how=how) for how in ends}
    assert set(finished(connection, *jobs.values())) == {"failed"}
    for how, job in jobs.items():
        assert failures(connection, job) == [
            (1, "TimedOut", ends[how]),
            (2, "TimedOut", ends[how]),
        ], how
    assert supervisor.log.count("is past its time-out") == 6
    until(lambda: len(supervisor.subworker_pids()) == 4)


def test_async_attempts_too(hostile_both: Hostile, connection: Connection) -> None:
    hostile_both(*flags(3))
    ends = {"sleep": SOFT, "catch": HARD, "block": HARD}
    for how, end in ends.items():  # one after the other: a blocked loop is everybody's
        job = enqueue(connection, "overrun_async", how=how)
        assert finished(connection, job) == ["failed"]
        assert failures(connection, job) == [(1, "TimedOut", end), (2, "TimedOut", end)], how


def test_a_job_beside_the_late_one_is_not_to_blame(
    hostile_both: Hostile, connection: Connection, tmp_path: Path
) -> None:
    """It dies with the same subworker, but runs again at the same attempt."""
    hostile_both(*flags(1))
    started, go = tmp_path / "started", tmp_path / "go"
    bystander = enqueue(connection, "wait_async", path=str(go), started=str(started))
    until(started.exists)
    late = enqueue(connection, "overrun", how="c code")
    assert finished(connection, late) == ["failed"]
    until(lambda: len(started.read_text().splitlines()) == 3)
    go.touch()
    assert result(connection, bystander) == 1
    assert failures(connection, bystander) == []


def test_what_the_late_job_has_started_ends_with_it(
    hostile_sync: Hostile, connection: Connection, tmp_path: Path
) -> None:
    hostile_sync(*flags(1))
    started = tmp_path / "started"
    # Time enough to start a child on a machine that is busy.
    row = connection.execute(
        "SELECT wsup.enqueue('overrun', %s, timeout => 2, retries => 0)",
        [json.dumps({"how": "c code", "started": str(started)})],
    ).fetchone()
    assert row is not None
    assert finished(connection, row[0]) == ["failed"]
    assert failures(connection, row[0]) == [(1, "TimedOut", HARD)]
    pids = [int(pid) for pid in started.read_text().split()]
    assert len(pids) == 2  # the subworker, and the child
    until(lambda: not any(alive(pid) for pid in pids), "they are gone")
