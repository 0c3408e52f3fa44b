"""Many jobs in one call, and each with an end of its own."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from running import (
    Supervisor,
    all_over,
    enqueue,
    failures,
    finished,
    result,
    state,
    until,
)

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]
Send = Callable[..., list[int]]

#: Of these kinds of tasks in these apps.
KINDS = [("send", "sync"), ("send", "both"), ("send_async", "both")]


@pytest.fixture
def send(connection: Connection, tmp_path: Path) -> Send:
    """Enqueues parcels of a task at once; returns the jobs."""

    def enqueue_many(task: str, *hows: str) -> list[int]:
        rows = connection.execute(
            "INSERT INTO wsup.job (task, args) SELECT %s, a::json FROM unnest(%s::text[]) a"
            " RETURNING id",
            [task, [json.dumps({"parcels": {"folder": str(tmp_path), "how": h}}) for h in hows]],
        )
        return [row[0] for row in rows]

    return enqueue_many


class Calls:
    """What the tasks have noted."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "calls"

    def pid(self) -> int:
        """The process of the latest call, once there is one."""
        until(self.jobs)
        return int(self._file.read_text().splitlines()[-1].split()[0])

    def sizes(self) -> list[int]:
        return [len(call) for call in self.jobs()]

    def jobs(self) -> list[list[str]]:
        """Of each call, its jobs and their attempts."""
        if not self._file.exists():
            return []
        return [line.split()[1:] for line in self._file.read_text().splitlines()]

    def attempts(self) -> set[str]:
        return {attempt for call in self.jobs() for attempt in call}


@pytest.fixture
def calls(tmp_path: Path) -> Calls:
    return Calls(tmp_path)


def cancel(connection: Connection, *jobs: int, kill: bool = False) -> None:
    connection.execute("SELECT wsup.cancel(%s, kill => %s)", [list(jobs), kill])


@pytest.mark.parametrize(("task", "app"), KINDS)
def test_as_many_at_once_as_there_are(
    task: str,
    app: str,
    make_supervisor: MakeSupervisor,
    connection: Connection,
    send: Send,
    calls: Calls,
) -> None:
    """Nine full calls, and what is left when its time is up."""
    host = make_supervisor("--subworkers", "2", app=f"parcels:{app}").start()
    jobs = send(task, *[""] * 95)
    assert all_over(connection, jobs) == {"succeeded": 95}
    assert sorted(calls.sizes()) == [5, *[10] * 9]
    assert calls.attempts() == {f"{job}:1" for job in jobs}
    assert [result(connection, job) for job in jobs[:3]] == [f"sent {job}" for job in jobs[:3]]
    assert host.stop() == 0


@pytest.mark.parametrize(("task", "app"), KINDS)
def test_each_ends_by_itself(
    task: str,
    app: str,
    make_supervisor: MakeSupervisor,
    connection: Connection,
    send: Send,
    calls: Calls,
) -> None:
    host = make_supervisor("--subworkers", "1", app=f"parcels:{app}").start()
    jobs = send(task, "", "fail", "retry", "cancel", "snooze", "no JSON", "", "", "")
    misfit = enqueue(connection, task, parcels={"folder": 5})
    assert finished(connection, *jobs) == [*["succeeded"] * 3, "cancelled", *["succeeded"] * 5]
    assert finished(connection, misfit) == ["failed"]
    assert max(calls.sizes()) == 9  # all that fit, in the first call
    told = {job: failures(connection, job) for job in [*jobs, misfit]}
    assert [len(told[job]) for job in jobs] == [0, 1, 1, 0, 0, 1, 0, 0, 0]
    assert told[jobs[1]] == [(1, "ValueError", "broken")]
    assert told[jobs[2]] == [(1, "Retry", "nobody at home")]
    assert told[jobs[5]][0][1] == "ResultError"
    assert {kind for _, kind, _ in told[misfit]} == {"ArgumentsError"}
    assert "argument 'parcels.folder'" in told[misfit][0][2]
    for how, kind in [("raise", "ValueError"), ("short", "BatchMisused")]:
        jobs = send(task, how, *[""] * 9)
        ends = finished(connection, *jobs)
        assert all(failures(connection, job)[0][:2] == (1, kind) for job in jobs)
        assert set(ends) == ({"succeeded"} if how == "raise" else {"failed"})
    assert "9 results" in failures(connection, jobs[0])[0][2]
    assert host.stop() == 0


@pytest.mark.parametrize(("task", "app"), KINDS)
def test_a_killed_subworker_was_running_all_of_them(
    task: str,
    app: str,
    make_supervisor: MakeSupervisor,
    connection: Connection,
    send: Send,
    calls: Calls,
) -> None:
    host = make_supervisor("--subworkers", "1", app=f"parcels:{app}").start()
    jobs = send(task, "wait", *[""] * 9)
    os.kill(calls.pid(), signal.SIGKILL)
    assert set(finished(connection, *jobs)) == {"succeeded"}
    for job in jobs:
        assert failures(connection, job) == [(1, "SubworkerDied", "subworker died: SIGKILL")]
    assert host.stop() == 0


def test_a_killed_supervisor(
    make_supervisor: MakeSupervisor,
    connection: Connection,
    send: Send,
    calls: Calls,
    tmp_path: Path,
) -> None:
    """What was running, and what was waiting for others, runs again, at the same attempt."""
    host = make_supervisor("--subworkers", "2", app="parcels:sync").start()
    jobs = send("send", "wait", *[""] * 9)
    calls.pid()
    (gathering,) = send("store", "")
    until(lambda: state(connection, gathering) == "running")
    host.kill()
    (tmp_path / "go").touch()
    host.start()
    assert set(finished(connection, *jobs)) == {"succeeded"}
    assert calls.attempts() == {f"{job}:1" for job in jobs}
    until(lambda: state(connection, gathering) == "running")
    assert host.stop() == 0
    assert state(connection, gathering) == "ready"


@pytest.mark.parametrize(("task", "app"), KINDS)
def test_cancelling(
    task: str,
    app: str,
    make_supervisor: MakeSupervisor,
    connection: Connection,
    send: Send,
    calls: Calls,
    tmp_path: Path,
) -> None:
    host = make_supervisor("--subworkers", "1", app=f"parcels:{app}").start()
    # One of several: the call goes on for the others, and its own end counts if it is a success.
    jobs = send(task, "wait", "fail", "retry", "", *[""] * 6)
    calls.pid()
    cancel(connection, *jobs[1:4])
    until(lambda: not host.status()["queued"])
    (tmp_path / "go").touch()
    assert finished(connection, *jobs) == [
        "succeeded",
        "cancelled",
        "cancelled",
        *["succeeded"] * 7,
    ]
    assert len(calls.jobs()) == 1
    (tmp_path / "go").unlink()
    # All of them: the call is interrupted.
    jobs = send(task, "wait", *[""] * 9)
    until(lambda: len(calls.jobs()) == 2)
    cancel(connection, *jobs)
    assert set(finished(connection, *jobs)) == {"cancelled"}
    # While it waits for others.
    first, second = send("store", "", "")
    until(lambda: host.status()["queued"] == 2)
    cancel(connection, first)
    assert finished(connection, first) == ["cancelled"]
    assert state(connection, second) == "running"
    assert host.stop() == 0
    assert state(connection, second) == "ready"


@pytest.mark.parametrize("kind", ["send", "send_async"])
def test_killing_one_of_them(
    kind: str,
    make_supervisor: MakeSupervisor,
    connection: Connection,
    send: Send,
    calls: Calls,
) -> None:
    """By its process: the others run again, at the same attempt."""
    host = make_supervisor("--subworkers", "1", "--kill-grace", "0.1", app="parcels:both").start()
    stubborn, *others = send(kind, "stubborn", *[""] * 9)
    calls.pid()
    cancel(connection, stubborn, kill=True)
    assert finished(connection, stubborn) == ["cancelled"]
    assert set(finished(connection, *others)) == {"succeeded"}
    assert [failures(connection, job) for job in others] == [[]] * 9
    assert host.stop() == 0


@pytest.mark.parametrize("kind", ["send_in_time", "send_in_time_async"])
@pytest.mark.parametrize("how", ["wait", "stubborn"])
def test_the_time_of_a_call(
    kind: str,
    how: str,
    make_supervisor: MakeSupervisor,
    connection: Connection,
    send: Send,
) -> None:
    host = make_supervisor("--subworkers", "1", "--kill-grace", "0.1", app="parcels:both").start()
    jobs = send(kind, how, how)
    assert set(finished(connection, *jobs)) == {"succeeded"}
    for job in jobs:
        ((attempt, error, _),) = failures(connection, job)
        assert (attempt, error) == (1, "TimedOut")
    assert host.stop() == 0


def test_nobody_waits_for_a_batch_but_its_jobs(
    make_supervisor: MakeSupervisor, connection: Connection, send: Send, calls: Calls
) -> None:
    """Neither others' jobs nor the supervisor's end; what has not started is given back."""
    host = make_supervisor("--subworkers", "1", app="parcels:sync").start()
    stored = send("store", *[""] * 30)
    until(lambda: host.status()["queued"] == 30)
    for _ in range(10):
        began = time.monotonic()
        assert finished(connection, enqueue(connection, "single")) == ["succeeded"]
    assert time.monotonic() - began < 10  # the others wait for 60 s
    alone = send("send", "")
    began = time.monotonic()
    assert finished(connection, *alone) == ["succeeded"]
    assert 0.5 < time.monotonic() - began < 5
    assert (calls.sizes(), host.status()["queued"]) == ([1], 30)
    began = time.monotonic()
    assert host.stop() == 0
    assert time.monotonic() - began < 10
    assert {state(connection, job) for job in stored} == {"ready"}
