"""Jobs go the whole road: enqueue, pull, dispatch, execute, gather, commit."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from running import Supervisor, enqueue, finished, state, until

from wsup.supervisor.pace import MEAN_SECONDS

Connection = psycopg.Connection[Any]


def outcome(connection: Connection, job: int) -> Any:
    row = connection.execute("SELECT * FROM wsup.outcome WHERE job = %s", [job])
    columns = [column.name for column in row.description or ()]
    return dict(zip(columns, row.fetchone() or (), strict=True))


def failures(connection: Connection, job: int) -> list[Any]:
    return connection.execute(
        "SELECT attempt, type, message FROM wsup.failure WHERE job = %s ORDER BY attempt", [job]
    ).fetchall()


def test_results_are_stored(supervisor: Supervisor, connection: Connection) -> None:
    job = enqueue(connection, "add", a=2, b=3)
    assert finished(connection, job) == ["succeeded"]
    assert outcome(connection, job)["result"] == 5


def test_retries_are_bounded_and_each_failure_is_kept(
    supervisor: Supervisor, connection: Connection
) -> None:
    job = enqueue(connection, "fail")
    assert finished(connection, job) == ["failed"]
    assert failures(connection, job) == [(n, "ValueError", "no luck") for n in (1, 2, 3)]
    assert outcome(connection, job)["attempt"] == 3


def test_a_task_decides_about_its_job(
    supervisor: Supervisor, connection: Connection, tmp_path: Path
) -> None:
    snoozed = enqueue(connection, "snooze", path=str(tmp_path / "snoozed"))
    cancelled = enqueue(connection, "cancel")
    retried = enqueue(connection, "retry")
    assert finished(connection, snoozed, cancelled, retried) == [
        "succeeded",
        "cancelled",
        "succeeded",
    ]
    assert outcome(connection, snoozed)["result"] == 1  # snoozing costs no attempt
    assert outcome(connection, cancelled)["reason"] == "not today"
    assert outcome(connection, retried)["result"] == 3


def test_arguments_that_do_not_fit_fail_the_attempt(
    supervisor: Supervisor, connection: Connection
) -> None:
    job = enqueue(connection, "add", a="one", b=2)
    assert finished(connection, job) == ["failed"]
    ((_, kind, message),) = failures(connection, job)
    assert kind == "ArgumentsError"
    assert "'a'" in message


def test_messages_larger_than_the_ring_pass(
    make_supervisor: Callable[..., Supervisor], connection: Connection
) -> None:
    make_supervisor("--subworkers", "1", "--ring-bytes", "65536").start()
    size = 50_000_000
    job = enqueue(connection, "big", size=size)
    assert finished(connection, job) == ["succeeded"]
    row = connection.execute(
        "SELECT octet_length(result::text) FROM wsup.outcome WHERE job = %s", [job]
    ).fetchone()
    assert row == (size + 2,)


def test_what_tasks_print_corrupts_nothing(supervisor: Supervisor, connection: Connection) -> None:
    jobs = [enqueue(connection, "talk") for _ in range(10)]
    assert finished(connection, *jobs) == ["succeeded"] * 10


def test_an_unknown_task_waits_for_a_host_that_knows_it(
    supervisor: Supervisor, connection: Connection
) -> None:
    jobs = [enqueue(connection, "not_here") for _ in range(2)]
    until(lambda: [state(connection, job) for job in jobs] == ["waiting"] * 2)
    supervisor.wait_for("no task 'not_here'")
    assert supervisor.log.count("no task 'not_here'") == 1
    row = connection.execute(
        "SELECT min(due_at - clock_timestamp()) > interval '3 s',"
        "       max(due_at - clock_timestamp()) <= interval '5 s' FROM wsup.waiting"
    ).fetchone()
    assert row == (True, True)


def test_time_outs_end_sync_and_async_tasks(supervisor: Supervisor, connection: Connection) -> None:
    jobs = [enqueue(connection, "slow"), enqueue(connection, "slow_async")]
    assert finished(connection, *jobs) == ["failed", "failed"]
    for job in jobs:
        assert failures(connection, job)[0][1] == "TimedOut"


def test_async_jobs_run_beside_each_other(
    make_supervisor: Callable[..., Supervisor], connection: Connection, tmp_path: Path
) -> None:
    """Thirty wait at once in one subworker, and a sync job gets through beside them."""
    make_supervisor("--subworkers", "1", "--concurrency", "30").start()
    started, go = tmp_path / "started", tmp_path / "go"
    jobs = [
        enqueue(connection, "wait_async", path=str(go), started=str(started)) for _ in range(30)
    ]
    until(lambda: started.exists() and len(started.read_text().splitlines()) == 30)
    assert finished(connection, enqueue(connection, "add", a=1, b=1)) == ["succeeded"]
    go.touch()
    assert set(finished(connection, *jobs)) == {"succeeded"}


def test_scheduled_jobs_start_when_due(supervisor: Supervisor, connection: Connection) -> None:
    row = connection.execute("SELECT wsup.enqueue('noop', delay => interval '300 ms')").fetchone()
    assert row is not None
    assert state(connection, row[0]) == "waiting"
    assert finished(connection, row[0]) == ["succeeded"]
    late = connection.execute(
        "SELECT o.finished_at - j.run_at BETWEEN interval '0' AND interval '200 ms'"
        "  FROM wsup.job j JOIN wsup.outcome o ON o.job = j.id"
    ).fetchone()
    assert late == (True,)


def test_a_result_does_not_wait_for_the_next_job_to_end(
    make_supervisor: Callable[..., Supervisor], connection: Connection, tmp_path: Path
) -> None:
    """Results are announced by many; the last one before a long job must not lie unseen."""
    make_supervisor("--subworkers", "1").start()
    go = tmp_path / "go"
    with connection.transaction():
        quick = [enqueue(connection, "noop") for _ in range(300)]
    finished(connection, *quick)
    with connection.transaction():
        quick = [enqueue(connection, "noop") for _ in range(20)]
        long = enqueue(connection, "wait_for_file", path=str(go))
    assert set(finished(connection, *quick)) == {"succeeded"}
    assert state(connection, long) == "running"
    go.touch()
    assert finished(connection, long) == ["succeeded"]


def test_no_job_waits_behind_a_long_one(
    make_supervisor: Callable[..., Supervisor], connection: Connection, tmp_path: Path
) -> None:
    """Short jobs teach the supervisor to hand out many at once; then a long one comes first."""
    make_supervisor("--subworkers", "2").start()
    go = tmp_path / "go"
    with connection.transaction():
        quick = [enqueue(connection, "noop") for _ in range(300)]
    finished(connection, *quick)
    with connection.transaction():
        long = enqueue(connection, "wait_for_file", path=str(go))
        others = [enqueue(connection, "noop") for _ in range(100)]
    assert set(finished(connection, *others)) == {"succeeded"}
    assert state(connection, long) == "running"
    go.touch()
    assert finished(connection, long) == ["succeeded"]


def test_jobs_that_can_not_start_here_soon_go_to_another_host(
    make_supervisor: Callable[..., Supervisor], connection: Connection, tmp_path: Path
) -> None:
    """The first one had good reason to pull many, and then is held up by a long one."""
    first, second = (make_supervisor("--subworkers", "1").start() for _ in range(2))
    second.ask("pause")
    go = tmp_path / "go"
    with connection.transaction():
        quick = [enqueue(connection, "noop") for _ in range(300)]
    finished(connection, *quick)
    with connection.transaction():
        long = enqueue(connection, "wait_for_file", path=str(go))
        others = [enqueue(connection, "noop") for _ in range(100)]
    until(lambda: first.status()["queued"] > 0, "what waits behind the long one was recalled")
    second.ask("resume")
    assert set(finished(connection, *others)) == {"succeeded"}
    assert state(connection, long) == "running"
    go.touch()
    assert finished(connection, long) == ["succeeded"]


def test_jobs_for_which_this_host_is_too_slow_go_to_another_one(
    make_supervisor: Callable[..., Supervisor], connection: Connection, tmp_path: Path
) -> None:
    """The first one had good reason to pull many, and gets on with them, but so slowly."""
    first, second = (make_supervisor("--subworkers", "1").start() for _ in range(2))
    second.ask("pause")
    with connection.transaction():
        quick = [enqueue(connection, "noop") for _ in range(300)]
    finished(connection, *quick)
    with connection.transaction():
        jobs = [enqueue(connection, "nap", seconds=0.1) for _ in range(100)]
    until(lambda: first.status()["queued"] > 50, "it holds more than it can begin within seconds")
    second.ask("resume")
    assert set(finished(connection, *jobs)) == {"succeeded"}
    assert second.status()["done"] > 0


def test_what_was_done_long_ago_says_nothing_about_what_comes(
    make_supervisor: Callable[..., Supervisor], connection: Connection, tmp_path: Path
) -> None:
    """No more is pulled than can begin, but for one, which might be async."""
    supervisor = make_supervisor("--subworkers", "2").start()
    with connection.transaction():
        quick = [enqueue(connection, "noop") for _ in range(300)]
    finished(connection, *quick)
    time.sleep(MEAN_SECONDS)
    go = tmp_path / "go"
    with connection.transaction():
        jobs = [enqueue(connection, "wait_for_file", path=str(go)) for _ in range(100)]
    until(lambda: [state(connection, job) for job in jobs[:2]] == ["running"] * 2)
    assert {state(connection, job) for job in jobs[3:]} == {"ready"}
    assert supervisor.status()["queued"] <= 1
    go.touch()
    assert set(finished(connection, *jobs)) == {"succeeded"}


def test_an_async_job_runs_beside_a_long_one_for_which_others_wait(
    make_supervisor: Callable[..., Supervisor], connection: Connection, tmp_path: Path
) -> None:
    """It is found, although those were pulled in vain before."""
    supervisor = make_supervisor("--subworkers", "1").start()
    go = tmp_path / "go"
    long = enqueue(connection, "wait_for_file", path=str(go))
    until(lambda: state(connection, long) == "running")
    with connection.transaction():
        waiting = [enqueue(connection, "noop") for _ in range(5)]
    until(lambda: "given back" in supervisor.log, "one was pulled in vain")
    (tmp_path / "there").touch()
    beside = enqueue(connection, "wait_async", path=str(tmp_path / "there"))
    connection.execute("UPDATE wsup.ready SET rank = -100 WHERE job = %s", [beside])
    assert finished(connection, beside) == ["succeeded"]
    assert state(connection, long) == "running"
    go.touch()
    assert set(finished(connection, long, *waiting)) == {"succeeded"}
