"""Whatever dies, no job is lost, and none runs again without need."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from running import Supervisor, enqueue, finished, state, until

Connection = psycopg.Connection[Any]


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def failures(connection: Connection, job: int) -> list[Any]:
    return connection.execute(
        "SELECT attempt, type, message, lost FROM wsup.failure WHERE job = %s ORDER BY attempt",
        [job],
    ).fetchall()


def test_a_killed_subworker_costs_one_attempt_of_one_job(
    make_supervisor: Callable[..., Supervisor], connection: Connection, tmp_path: Path
) -> None:
    supervisor = make_supervisor("--subworkers", "1").start()
    ledger = tmp_path / "ledger"
    with connection.transaction():
        warm = [enqueue(connection, "noop") for _ in range(100)]
    finished(connection, *warm)
    with connection.transaction():
        victim = enqueue(connection, "die_once", path=str(tmp_path / "died"))
        others = [enqueue(connection, "count", path=str(ledger)) for _ in range(50)]
    assert finished(connection, victim) == ["failed"]
    assert failures(connection, victim) == [(1, "SubworkerDied", "subworker died: SIGKILL", False)]
    assert set(finished(connection, *others)) == {"succeeded"}
    ran = Counter(int(line.split()[0]) for line in lines(ledger))
    assert ran == Counter(others)  # each exactly once
    assert all(line.split()[1] == "1" for line in lines(ledger))  # at the same attempt
    assert len(supervisor.subworker_pids()) == 1


def test_a_job_that_kills_its_subworker_ends_as_failed(
    supervisor: Supervisor, connection: Connection
) -> None:
    jobs = [enqueue(connection, "die", how=how) for how in ("SIGKILL", "SIGSEGV")]
    jobs.append(enqueue(connection, "leave"))
    assert set(finished(connection, *jobs)) == {"failed"}
    assert [f[:3] for f in failures(connection, jobs[1])] == [
        (1, "SubworkerDied", "subworker died: SIGSEGV"),
        (2, "SubworkerDied", "subworker died: SIGSEGV"),
    ]
    assert failures(connection, jobs[2])[0][2] == "subworker died: exit status 3"
    assert finished(connection, enqueue(connection, "add", a=1, b=1)) == ["succeeded"]


def test_an_idle_subworker_is_replaced(supervisor: Supervisor) -> None:
    before = supervisor.subworker_pids()
    os.kill(before[0], signal.SIGKILL)
    until(
        lambda: len(pids := supervisor.subworker_pids()) == 2 and before[0] not in pids,
        "a new subworker is there",
    )


def test_the_templates_death_costs_nothing(supervisor: Supervisor, connection: Connection) -> None:
    def imported_by() -> int:
        job = enqueue(connection, "where")
        finished(connection, job)
        row = connection.execute("SELECT result FROM wsup.outcome WHERE job = %s", [job]).fetchone()
        return int(row[0]["imported_by"]) if row else 0

    os.kill(imported_by(), signal.SIGKILL)
    assert finished(connection, enqueue(connection, "add", a=1, b=1)) == ["succeeded"]
    for pid in supervisor.subworker_pids():
        os.kill(pid, signal.SIGKILL)
    assert finished(connection, enqueue(connection, "add", a=1, b=1)) == ["succeeded"]


def test_a_killed_supervisors_jobs_run_again_after_its_restart(
    make_supervisor: Callable[..., Supervisor], connection: Connection, tmp_path: Path
) -> None:
    supervisor = make_supervisor("--subworkers", "2").start()
    started, go = tmp_path / "started", tmp_path / "go"
    jobs = [
        enqueue(connection, "wait_for_file", path=str(go), started=str(started)) for _ in range(4)
    ]
    until(lambda: len(lines(started)) == 2)
    supervisor.kill()
    killed = datetime.now(UTC)
    supervisor.start()
    # Given back by the time that it is ready: it waits for nothing to see that it was dead.
    for job in jobs[:2]:
        assert [f[1:4:2] for f in failures(connection, job)] == [("SupervisorDied", True)]
    row = connection.execute("SELECT min(failed_at) FROM wsup.failure").fetchone()
    assert row is not None
    print(f"its jobs were back after {(row[0] - killed).total_seconds():.2f} s")
    go.touch()
    assert set(finished(connection, *jobs)) == {"succeeded"}
    attempts = "SELECT DISTINCT attempt FROM wsup.outcome"
    assert connection.execute(attempts).fetchall() == [(1,)]


def test_a_killed_supervisors_jobs_go_to_another_host(
    make_supervisor: Callable[..., Supervisor], connection: Connection, tmp_path: Path
) -> None:
    first = make_supervisor("--subworkers", "1").start()
    second = make_supervisor("--subworkers", "1").start()
    started, go = tmp_path / "started", tmp_path / "go"
    jobs = [
        enqueue(connection, "wait_for_file", path=str(go), started=str(started)) for _ in range(2)
    ]
    until(lambda: len(lines(started)) == 2)
    first.kill()
    second.wait_for("is dead: 1 of its jobs are given to others")
    go.touch()
    assert set(finished(connection, *jobs)) == {"succeeded"}


def test_a_lost_connection_loses_and_repeats_nothing(
    supervisor: Supervisor, connection: Connection, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    jobs = []
    for _ in range(5):
        with connection.transaction():
            jobs += [enqueue(connection, "count", path=str(ledger)) for _ in range(100)]
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'wsup%' AND pid <> pg_backend_pid()"
        )
    assert set(finished(connection, *jobs)) == {"succeeded"}
    assert Counter(int(line.split()[0]) for line in lines(ledger)) == Counter(jobs)


def test_a_supervisor_taken_for_dead_starts_over(
    supervisor: Supervisor, connection: Connection, tmp_path: Path
) -> None:
    started, go = tmp_path / "started", tmp_path / "go"
    job = enqueue(connection, "wait_for_file", path=str(go), started=str(started))
    until(lambda: lines(started))
    number = supervisor.status()["supervisor"]
    supervisor.send(signal.SIGSTOP)
    connection.execute("SELECT wsup.rescue(%s, 5)", [number])
    assert state(connection, job) == "ready"
    supervisor.send(signal.SIGCONT)
    supervisor.wait_for("starting over")
    until(lambda: len(lines(started)) == 2)
    go.touch()
    assert finished(connection, job) == ["succeeded"]
    assert supervisor.status()["supervisor"] != number
