"""Cancelling what runs, or lies somewhere on the way to it."""

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from running import Supervisor, all_over, enqueue, failures, finished, runs, state, until

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]
Start = Callable[..., Supervisor]

#: Of these kinds of tasks in these apps.
KINDS = [("wait", "sync"), ("wait", "both"), ("wait_async", "both")]
#: Pairs of jobs of which the first one is cancelled about when it ends.
ROUNDS = 100
WORK = [("work", "sync"), ("work", "both"), ("work_async", "both")]


@pytest.fixture
def start(make_supervisor: MakeSupervisor) -> Start:
    """Starts a supervisor of one subworker."""
    flags = ("--subworkers", "1", "--kill-grace", "0.3")
    return lambda app, *more: make_supervisor(*flags, *more, app=f"cancellable:{app}").start()


def cancel(connection: Connection, *jobs: int, kill: bool = False) -> list[str]:
    query = "SELECT state FROM wsup.cancel(%s, kill => %s)"
    return [row[0] for row in connection.execute(query, [list(jobs), kill])]


def reason(connection: Connection, job: int) -> str:
    row = connection.execute("SELECT reason FROM wsup.outcome WHERE job = %s", [job]).fetchone()
    assert row is not None
    return str(row[0])


def requests(connection: Connection) -> int:
    return connection.execute("SELECT FROM wsup.cancel_request").rowcount


def beats(connection: Connection) -> int:
    row = connection.execute("SELECT max(beat) FROM wsup.supervisor").fetchone()
    assert row is not None
    return int(row[0])


def begin(connection: Connection, task: str, folder: Path, how: str = "") -> int:
    """Enqueue a task that waits, and wait until it does."""
    started = folder / "started"
    before = runs(started).total()
    job = enqueue(connection, task, path=str(folder / "go"), started=str(started), how=how)
    until(lambda: runs(started).total() > before, f"job {job} has started")
    return job


# running -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "app"), KINDS)
def test_a_running_task_is_interrupted(
    task: str, app: str, start: Start, connection: Connection, tmp_path: Path
) -> None:
    """Without waiting for a beat; within 100 ms where nothing else goes on. Both once in some."""
    start(app)
    took = [10.0]
    # Where more processes want to run than there are processors, all takes so many times as long.
    limit = 0.1 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    for _ in range(20):
        job = begin(connection, task, tmp_path)
        was = beats(connection)
        now = until(lambda was=was: n if (n := beats(connection)) != was else None)
        asked_at = time.monotonic()
        assert cancel(connection, job) == ["cancelling"]
        assert finished(connection, job) == ["cancelled"]
        if beats(connection) == now:  # which the next one would have brought, too
            took.append(time.monotonic() - asked_at)
        assert reason(connection, job) == "cancelled by request"
        assert failures(connection, job) == []
        assert runs(tmp_path / "started")[job] == 1
        assert cancel(connection, job) == ["cancelled"]
        if min(took) < limit:
            break
    print("cancelled within", [f"{seconds * 1000:.0f} ms" for seconds in took[1:]])
    assert min(took) < limit
    until(lambda: not requests(connection), "the requests are removed")
    job = begin(connection, task, tmp_path)
    (tmp_path / "go").touch()
    assert finished(connection, job) == ["succeeded"]


@pytest.mark.parametrize("app", ["sync", "both"])
def test_a_task_that_waits_in_the_kernel(
    app: str, start: Start, connection: Connection, tmp_path: Path
) -> None:
    start(app)
    job = begin(connection, "wait", tmp_path, how="sleep")
    cancel(connection, job)
    assert finished(connection, job) == ["cancelled"]


@pytest.mark.parametrize(("task", "app"), KINDS)
def test_one_that_catches_it_and_returns_has_succeeded(
    task: str, app: str, start: Start, connection: Connection, tmp_path: Path
) -> None:
    start(app)
    job = begin(connection, task, tmp_path, how="catch")
    assert cancel(connection, job) == ["cancelling"]
    assert finished(connection, job) == ["succeeded"]
    until(lambda: not requests(connection), "the request is removed")


@pytest.mark.parametrize(("task", "app"), KINDS)
def test_however_else_it_ends_it_is_cancelled(
    task: str, app: str, start: Start, connection: Connection, tmp_path: Path
) -> None:
    """It fails, or wants to be tried again: but it was cancelled."""
    start(app)
    for how in ("fail", "snooze", "retry"):
        job = begin(connection, task, tmp_path, how=how)
        cancel(connection, job)
        assert finished(connection, job) == ["cancelled"], how
        assert reason(connection, job).startswith("cancelled by request; its task then raised")
        assert runs(tmp_path / "started")[job] == 1, how


@pytest.mark.parametrize(("task", "app"), KINDS)
def test_one_that_goes_on_is_killed_only_if_that_was_asked(
    task: str, app: str, start: Start, connection: Connection, tmp_path: Path
) -> None:
    supervisor = start(app)
    job = begin(connection, task, tmp_path, how="ignore")
    assert cancel(connection, job) == ["cancelling"]
    other = begin(connection, "wait_async", tmp_path) if app == "both" else None
    with pytest.raises(AssertionError, match="still not so"):  # longer than kill_grace
        until(lambda: state(connection, job) != "running", patience=0.6)
    assert cancel(connection, job, kill=True) == ["cancelling"]
    assert finished(connection, job) == ["cancelled"]
    assert reason(connection, job) == "cancelled by request; it went on for 0.3 s: SIGKILL"
    assert "was cancelled, and goes on" in supervisor.log
    if other is not None:  # it runs again, at the same attempt
        until(lambda: runs(tmp_path / "started")[other] == 2)
        (tmp_path / "go").touch()
        assert finished(connection, other) == ["succeeded"]
        assert failures(connection, other) == []


@pytest.mark.parametrize("app", ["sync", "both"])
def test_c_code_that_never_returns(
    app: str, start: Start, connection: Connection, tmp_path: Path
) -> None:
    start(app)
    job = begin(connection, "wait", tmp_path, how="c code")
    cancel(connection, job, kill=True)
    assert finished(connection, job) == ["cancelled"]
    assert runs(tmp_path / "started")[job] == 1


# not started ---------------------------------------------------------------------------------


@pytest.mark.parametrize("app", ["sync", "both"])
def test_what_lies_in_the_backlog_never_runs(
    app: str, start: Start, connection: Connection, tmp_path: Path
) -> None:
    start(app)
    started, go, ledger = tmp_path / "started", tmp_path / "go", tmp_path / "ledger"
    with connection.transaction():  # together, so that they are pulled together
        first = enqueue(connection, "wait", path=str(go), started=str(started))
        jobs = [enqueue(connection, "work", ledger=str(ledger), milliseconds=0) for _ in range(5)]
    until(lambda: runs(started)[first], "it has started")
    print(cancel(connection, *jobs))
    assert set(finished(connection, *jobs)) == {"cancelled"}
    assert state(connection, first) == "running"
    go.touch()
    assert finished(connection, first) == ["succeeded"]
    assert not ledger.exists()


@pytest.mark.parametrize("app", ["sync", "both"])
def test_what_lies_in_a_subworkers_queue_never_runs(
    app: str, start: Start, connection: Connection, tmp_path: Path
) -> None:
    """Behind C code, during which no order is heard in an app of sync tasks: the order not to start
    them comes in time all the same."""
    supervisor = start(app, "--log-level", "debug")
    started, ledger, end = str(tmp_path / "started"), str(tmp_path / "ledger"), tmp_path / "end"
    end.write_bytes(b"\0")
    warm = [enqueue(connection, "work", ledger=started, milliseconds=0) for _ in range(50)]
    assert set(finished(connection, *warm)) == {"succeeded"}
    with connection.transaction():  # together, so that they are handed out together
        first = enqueue(connection, "deaf", started=started, path=str(end))
        jobs = [enqueue(connection, "work", ledger=ledger, milliseconds=0) for _ in range(20)]
    until(lambda: runs(Path(started))[first], "it has started")
    assert supervisor.status()["queued"] == 0, "all are with the subworker"
    assert set(cancel(connection, *jobs)) == {"cancelling"}
    told = [f"job {job} is to be cancelled" for job in jobs]
    until(lambda: all(line in supervisor.log for line in told), "the subworker has been told")
    with end.open("r+b") as file:  # as long as before, since it is mapped
        file.write(b"\1")
    assert set(finished(connection, *jobs)) == {"cancelled"}
    assert finished(connection, first) == ["succeeded"]
    assert not Path(ledger).exists()


# races ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "app"), WORK)
def test_nobody_elses_job_is_hit(
    task: str, app: str, start: Start, connection: Connection, tmp_path: Path
) -> None:
    """Jobs are cancelled about when they end, and another one follows. What made it, made it."""
    start(app, "--concurrency", "1")
    ledger, dice, milliseconds = tmp_path / "ledger", random.Random(1), 10.0
    ends: Counter[str] = Counter()
    jobs = []
    for _ in range(ROUNDS):
        with connection.transaction():
            length = max(0.0, milliseconds + dice.uniform(-1, 1))
            first = enqueue(connection, task, ledger=str(ledger), milliseconds=length)
            second = enqueue(connection, task, ledger=str(ledger), milliseconds=4)
        until(lambda first=first: runs(ledger)[first])
        cancel(connection, first)
        end, other = finished(connection, first, second)
        assert other == "succeeded"
        ends[str(end)] += 1
        # As long as it takes here to cancel one, however busy this machine is.
        milliseconds += -0.5 if end == "cancelled" else 0.5
        jobs += [first, second]
    print(ends)
    assert set(ends) == {"succeeded", "cancelled"}
    assert runs(ledger) == Counter(jobs)
    assert connection.execute("SELECT FROM wsup.failure").rowcount == 0
    until(lambda: not requests(connection), "the requests are removed")


@pytest.mark.parametrize(("task", "app"), WORK)
def test_jobs_cancelled_all_over_the_place(
    task: str, app: str, start: Start, connection: Connection, tmp_path: Path
) -> None:
    """Ready, pulled, handed out, begun, or over: each has one outcome, and the right one."""
    start(app)
    ledger, dice = tmp_path / "ledger", random.Random(2)
    with connection.transaction():
        jobs = [enqueue(connection, task, ledger=str(ledger), milliseconds=1) for _ in range(400)]
    asked = dice.sample(jobs, 200)
    for at in range(0, len(asked), 5):
        cancel(connection, *asked[at : at + 5])
    print(all_over(connection, jobs))
    rows = connection.execute("SELECT job, state::text FROM wsup.outcome").fetchall()
    ends, ran = dict(rows), runs(ledger)
    assert {ends[job] for job in set(jobs) - set(asked)} == {"succeeded"}
    assert {ends[job] for job in asked} <= {"succeeded", "cancelled"}
    assert set(ran.values()) == {1}
    assert {job for job in jobs if ends[job] == "succeeded"} <= set(ran)
    assert connection.execute("SELECT FROM wsup.failure").rowcount == 0
