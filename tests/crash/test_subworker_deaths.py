"""A subworker's death, at any point: one attempt of the job that ran, and nothing else."""

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from running import Supervisor, alive, enqueue, failures, finished, result, until

Connection = psycopg.Connection[Any]
Hostile = Callable[..., Supervisor]

ENDS = {"segv": "SIGSEGV", "SIGKILL": "SIGKILL", "SIGABRT": "SIGABRT", "exit": "exit status 3"}


def test_each_way_of_dying_is_told_and_costs_one_attempt(
    hostile: Hostile, connection: Connection, tmp_path: Path
) -> None:
    supervisor = hostile("--subworkers", "2")
    ledger = tmp_path / "ledger"
    warm = [enqueue(connection, "here") for _ in range(50)]
    finished(connection, *warm)
    notes, dying = [], {}
    with connection.transaction():
        for how in ENDS:
            dying[how] = enqueue(connection, "die", how=how)
            notes += [enqueue(connection, "note", path=str(ledger)) for _ in range(25)]
    assert set(finished(connection, *dying.values())) == {"failed"}
    assert set(finished(connection, *notes)) == {"succeeded"}
    for how, job in dying.items():
        assert failures(connection, job) == [(1, "SubworkerDied", f"subworker died: {ENDS[how]}")]
    lines = [line.split() for line in ledger.read_text().splitlines()]
    assert sorted(int(job) for job, _, _ in lines) == notes  # what had not started ran once …
    assert {attempt for _, attempt, _ in lines} == {"1"}  # … at the same attempt
    until(lambda: len(supervisor.subworker_pids()) == 2)


def test_a_job_that_kills_each_time_hurts_nobody_else(
    hostile_sync: Hostile, connection: Connection, tmp_path: Path
) -> None:
    hostile_sync("--subworkers", "2")
    row = connection.execute(
        "SELECT wsup.enqueue('die', '{\"how\": \"SIGKILL\"}', retries => 3)"
    ).fetchone()
    assert row is not None
    ledger = tmp_path / "ledger"
    notes: list[int] = []
    while not failures(connection, row[0])[2:]:  # all along, others run beside it
        notes.append(enqueue(connection, "note", path=str(ledger)))
        finished(connection, notes[-1])
    assert finished(connection, row[0]) == ["failed"]
    assert [attempt for attempt, _, _ in failures(connection, row[0])] == [1, 2, 3, 4]
    assert set(finished(connection, *notes)) == {"succeeded"}
    assert len(ledger.read_text().splitlines()) == len(notes)


def test_killed_while_its_result_goes_through_the_ring(
    hostile_sync: Hostile, connection: Connection, tmp_path: Path
) -> None:
    size = 50_000_000
    hostile_sync("--subworkers", "1", "--ring-bytes", "65536")
    job = enqueue(connection, "die_sending", size=size, once=str(tmp_path / "once"))
    assert finished(connection, job) == ["succeeded"]
    assert failures(connection, job) == [(1, "SubworkerDied", "subworker died: SIGKILL")]
    assert connection.execute(
        "SELECT attempt, octet_length(result::text) FROM wsup.outcome WHERE job = %s", [job]
    ).fetchone() == (2, size + 2)


def test_the_next_one_is_warm_before_anybody_waits(
    hostile_sync: Hostile, connection: Connection
) -> None:
    """No timer stands between a death and the fork that makes up for it."""
    supervisor = hostile_sync("--subworkers", "1")
    for times in range(1, 6):
        (before,) = supervisor.subworker_pids()
        os.kill(before, signal.SIGKILL)
        assert result(connection, enqueue(connection, "here"))["pid"] != before
        supervisor.wait_for("died: SIGKILL", times)
        assert not alive(before)
    assert "is started again in" not in supervisor.log


def test_the_next_one_is_warm_within_a_tenth_of_a_second(hostile_sync: Hostile) -> None:
    """At best: other programs have the processors, too. A pause of ours would come each time."""
    supervisor = hostile_sync("--subworkers", "2")
    took: list[float] = []
    while len(took) < 10 or (min(took) >= 0.1 and len(took) < 100):
        dead = supervisor.subworker_pids()[0]
        began = time.monotonic()
        os.kill(dead, signal.SIGKILL)
        until(lambda dead=dead: is_replaced(supervisor, dead), "another one is warm")
        took.append(time.monotonic() - began)
    print("until another one was warm, in ms:", *(f"{seconds * 1000:.0f}" for seconds in took))
    assert min(took) < 0.1


def is_replaced(supervisor: Supervisor, dead: int) -> bool:
    members = supervisor.status()["subworkers"]
    return [m["state"] for m in members] == ["idle", "idle"] and all(
        m["pid"] != dead for m in members
    )


def test_dying_at_the_start_again_and_again_is_slowed_down_and_told(
    hostile_sync: Hostile, connection: Connection
) -> None:
    supervisor = hostile_sync("--subworkers", "2")
    broken = supervisor.folder / "no-more"
    broken.touch()
    first, second = supervisor.subworker_pids()
    os.kill(first, signal.SIGKILL)
    supervisor.wait_for("is started again in", 4)
    pauses = [float(pause) for pause in re.findall(r"started again in ([\d.]+) s", supervisor.log)]
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert "died: exit status 9" in supervisor.log
    assert result(connection, enqueue(connection, "here"))["pid"] == second  # it works on
    broken.unlink()
    until(lambda: [m["state"] for m in supervisor.status()["subworkers"]] == ["idle", "idle"])


def test_a_start_hook_that_fails_again_and_again_too(
    hostile_both: Hostile, connection: Connection
) -> None:
    supervisor = hostile_both("--subworkers", "2")
    broken = supervisor.folder / "unfit"
    broken.touch()
    os.kill(supervisor.subworker_pids()[0], signal.SIGKILL)
    supervisor.wait_for("RuntimeError: unfit", 2)
    supervisor.wait_for("is started again in 0.2 s")
    broken.unlink()
    until(lambda: [m["state"] for m in supervisor.status()["subworkers"]] == ["idle", "idle"])
