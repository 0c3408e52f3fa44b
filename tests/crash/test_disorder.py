"""Tasks that leave their process in disorder: the next job must not suffer from it."""

import os
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
from running import Supervisor, enqueue, failures, finished, result, until

Connection = psycopg.Connection[Any]
Hostile = Callable[..., Supervisor]

#: What can't be put back with certainty, and what is said of it.
BREACHES = {
    "close low": "a standard stream, was closed or replaced",
    "close all": "was closed",
    "alarm": "the handler of SIGALRM was changed",
    "every signal": "was changed",
    "blocked": "the blocked signals were changed",
    "running loop": "an event loop was left running",
    "stdout": "descriptor 1, a standard stream, was closed or replaced",
}


def test_a_subworker_that_cannot_be_trusted_is_replaced(
    hostile: Hostile, connection: Connection
) -> None:
    """Its result counts; the jobs behind it run in another process, at the same attempt."""
    supervisor = hostile("--subworkers", "1")
    for how, told in BREACHES.items():
        if how == "close all" and has_loop(supervisor):
            continue  # see below
        finished(connection, *[enqueue(connection, "here") for _ in range(3)])
        with connection.transaction():
            culprit = enqueue(connection, "mess", how=how)
            others = [enqueue(connection, "here") for _ in range(5)]
        pid = result(connection, culprit)
        found = [result(connection, job) for job in others]
        assert pid not in {each["pid"] for each in found}, how
        assert {each["attempt"] for each in found} == {1}
        supervisor.wait_for(f"is replaced: after job {culprit}, ")
        (line,) = [line for line in supervisor.lines if f"after job {culprit}, " in line]
        assert told in line
        assert f"pid {pid}," in line
    assert " died: " not in supervisor.log
    assert connection.execute("SELECT count(*) FROM wsup.failure").fetchone() == (0,)


def has_loop(supervisor: Supervisor) -> bool:
    return supervisor.command[supervisor.command.index("--app") + 1].endswith("both")


def test_a_loop_without_descriptors_costs_the_job_that_closed_them_at_most(
    hostile_both: Hostile, connection: Connection
) -> None:
    """libuv aborts if it uses one of its own before it is seen that they are closed."""
    supervisor = hostile_both("--subworkers", "1")
    for _ in range(5):
        before = result(connection, enqueue(connection, "here"))["pid"]
        with connection.transaction():
            culprit = enqueue(connection, "mess", how="close all")
            others = [enqueue(connection, "here") for _ in range(5)]
        ends = finished(connection, culprit)
        failed = [(attempt, kind) for attempt, kind, _ in failures(connection, culprit)]
        assert (ends, failed) in (
            (["succeeded"], []),
            (["failed"], [(1, "SubworkerDied")]),
        )
        found = [result(connection, job) for job in others]
        assert before not in {each["pid"] for each in found}
        assert {each["attempt"] for each in found} == {1}
        assert [failures(connection, job) for job in others] == [[]] * 5
        until(lambda pid=found[-1]["pid"]: supervisor.subworker_pids() == [pid])


def test_a_job_in_the_loop_outlives_low_descriptors(
    hostile_both: Hostile, connection: Connection, tmp_path: Path
) -> None:
    """The loop's own are out of reach, and what runs in it may end before the replacement."""
    supervisor = hostile_both("--subworkers", "1")
    pids = supervisor.subworker_pids()
    started, go = tmp_path / "started", tmp_path / "go"
    bystander = enqueue(connection, "wait_async", path=str(go), started=str(started))
    until(started.exists)
    assert result(connection, enqueue(connection, "mess", how="close low")) in pids
    assert result(connection, enqueue(connection, "here"))["pid"] not in pids
    go.touch()
    assert result(connection, bystander) == 1
    assert len(started.read_text().splitlines()) == 1


def test_the_folder_and_the_locale_are_put_back(
    hostile_sync: Hostile, connection: Connection
) -> None:
    supervisor = hostile_sync("--subworkers", "1")
    before = result(connection, enqueue(connection, "here"))
    for how in ("folder", "locale", "folder"):
        with connection.transaction():
            culprit = enqueue(connection, "mess", how=how)
            after = enqueue(connection, "here")
        assert result(connection, culprit) == before["pid"]
        assert result(connection, after) == before
    assert supervisor.status()["subworkers"][0]["pid"] == before["pid"]


def test_a_fork_that_comes_back_from_its_task_ends(
    hostile: Hostile, connection: Connection, tmp_path: Path
) -> None:
    """As a Python program would; it reports nothing, and its parent works on."""
    supervisor = hostile("--subworkers", "1")
    pids = supervisor.subworker_pids()
    tasks = ["fork"]
    if has_loop(supervisor):
        tasks.append("fork_async")
    ledger = tmp_path / "ledger"
    ends = {"return": 0, "exit": 7, "raise": 1}
    for task, how in product(tasks, ends):
        with connection.transaction():
            forking = enqueue(connection, task, how=how)
            notes = [enqueue(connection, "note", path=str(ledger)) for _ in range(5)]
        assert result(connection, forking) == ends[how]
        assert set(finished(connection, *notes)) == {"succeeded"}
    ran = [int(line.split()[0]) for line in ledger.read_text().splitlines()]
    assert len(ran) == len(set(ran))
    assert supervisor.subworker_pids() == pids
    assert "came too late" not in supervisor.log


def test_a_fork_that_comes_back_to_the_loop_ends(
    hostile_both: Hostile, connection: Connection
) -> None:
    supervisor = hostile_both("--subworkers", "1")
    pids = supervisor.subworker_pids()
    job = enqueue(connection, "fork_async", how="await")
    assert result(connection, job) == 0
    assert finished(connection, enqueue(connection, "here")) == ["succeeded"]
    assert supervisor.subworker_pids() == pids


def test_what_is_written_into_any_descriptor_hurts_nobody(
    hostile_sync: Hostile, connection: Connection
) -> None:
    supervisor = hostile_sync("--subworkers", "2")
    for _ in range(3):
        with connection.transaction():
            jobs = [enqueue(connection, "here") for _ in range(20)]
            jobs.append(enqueue(connection, "mess", how="write"))
            jobs += [enqueue(connection, "here") for _ in range(20)]
        assert set(finished(connection, *jobs)) == {"succeeded"}
    assert connection.execute("SELECT count(*) FROM wsup.failure").fetchone() == (0,)
    assert "is killed" not in supervisor.log
    assert supervisor.stop() == 0


def test_what_is_written_into_a_loops_own_pipes_costs_that_subworker_at_most(
    hostile_both: Hostile, connection: Connection
) -> None:
    """An event loop believes what it reads there, be it a pointer."""
    supervisor = hostile_both("--subworkers", "2")
    for _ in range(5):
        finished(connection, enqueue(connection, "mess", how="write"))
    until(
        lambda: finished(connection, enqueue(connection, "here")) == ["succeeded"],
        "a job succeeds",
    )
    assert supervisor.stop() == 0


def test_threads_and_loops_left_running_keep_nobody_from_ending(
    hostile: Hostile, connection: Connection
) -> None:
    supervisor = hostile("--subworkers", "1")
    pid = result(connection, enqueue(connection, "mess", how="threads"))
    assert result(connection, enqueue(connection, "here"))["pid"] == pid
    assert supervisor.stop() == 0
    assert not Path(f"/proc/{pid}").exists()


def test_a_stopped_loop_costs_the_jobs_that_ran_in_it(
    hostile_both: Hostile, connection: Connection
) -> None:
    supervisor = hostile_both("--subworkers", "1")
    pids = supervisor.subworker_pids()
    job = enqueue(connection, "stop_loop")
    assert finished(connection, job) == ["failed"]
    assert connection.execute("SELECT message FROM wsup.failure").fetchall() == [
        ("subworker died: exit status 1",)
    ]
    assert result(connection, enqueue(connection, "here"))["pid"] not in pids


def test_memory_that_is_refused_fails_the_attempt(
    hostile_sync: Hostile, connection: Connection
) -> None:
    """Whether the task gets a MemoryError, or its subworker dies: the next job has a fresh one."""
    supervisor = hostile_sync("--subworkers", "1")
    pids = supervisor.subworker_pids()
    job = enqueue(connection, "mess", how="memory")
    assert finished(connection, job) == ["failed"]
    assert connection.execute("SELECT type FROM wsup.failure").fetchall() in (
        [("MemoryError",)],
        [("SubworkerDied",)],
    )
    assert result(connection, enqueue(connection, "here"))["pid"] not in pids
    until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))  # noqa: PTH110
