"""The audit of the soak, over a ledger and a database in which something is wrong."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from rooted import import_from_root
from running import enqueue

import_from_root("bench")
import_from_root("soak")

from soak import ledger  # noqa: E402
from soak.accounts import Accounts  # noqa: E402
from soak.audit import audit  # noqa: E402
from soak.fates import Fate  # noqa: E402
from soak.faults import SUPERVISOR, Fault  # noqa: E402
from soak.ledger import Event  # noqa: E402
from soak.requests import Cancelled, Child, Keyed, Unique  # noqa: E402
from soak.run import LEFT  # noqa: E402
from soak.statements import statement  # noqa: E402

Connection = psycopg.Connection[Any]


def note(
    folder: Path, *jobs: int, at: float = 1.0, event: Event = Event.OK, until: float | None = None
) -> None:
    """One subworker's book: each of the jobs has started and ended."""
    lines = [
        ledger.RECORD.pack(job, when, 101, 1, what, 0)
        for job in jobs
        for what, when in ((Event.START, at), (event, until or at))
    ]
    (folder / f"0.100.101.{len(list(folder.iterdir()))}").write_bytes(b"".join(lines))


def end(connection: Connection, *jobs: int, result: int | None = None) -> None:
    for job in jobs:
        connection.execute(
            "INSERT INTO wsup.outcome (job, state, attempt, result)"
            " VALUES (%s, 'succeeded', 1, to_json(%s::integer))",
            [job, result],
        )


def cancel(connection: Connection, job: int) -> None:
    connection.execute(
        "INSERT INTO wsup.outcome (job, state, attempt) VALUES (%s, 'cancelled', 1)", [job]
    )


def problems(
    connection: Connection, folder: Path, accounts: Accounts, faults: Sequence[Fault] = ()
) -> list[str]:
    return [problem.kind for problem in audit(connection, folder, accounts, faults).problems]


def some(connection: Connection, accounts: Accounts) -> list[int]:
    jobs = [enqueue(connection, "noop", number=0) for _ in range(3)]
    accounts.note(jobs, Fate.COMMITTED)
    return jobs


def test_all_is_well(connection: Connection, tmp_path: Path) -> None:
    jobs = some(connection, accounts := Accounts())
    note(tmp_path, *jobs)
    end(connection, *jobs)
    found = audit(connection, tmp_path, accounts, [])
    assert found.problems == []
    assert found.executions == len(jobs)
    assert found.states == {"succeeded": len(jobs)}


def test_a_job_without_an_outcome(connection: Connection, tmp_path: Path) -> None:
    jobs = some(connection, accounts := Accounts())
    note(tmp_path, *jobs)
    end(connection, *jobs[1:])
    assert problems(connection, tmp_path, accounts) == ["lost"]


def test_a_committed_job_that_is_not_there(connection: Connection, tmp_path: Path) -> None:
    accounts = Accounts()
    accounts.note([1], Fate.COMMITTED)
    assert problems(connection, tmp_path, accounts) == ["lost"]


def test_a_success_that_nobody_has_run(connection: Connection, tmp_path: Path) -> None:
    jobs = some(connection, accounts := Accounts())
    note(tmp_path, *jobs[1:])
    end(connection, *jobs)
    assert problems(connection, tmp_path, accounts) == ["wrong end"]


def test_a_second_execution(connection: Connection, tmp_path: Path) -> None:
    jobs = some(connection, accounts := Accounts())
    note(tmp_path, *jobs)
    note(tmp_path, jobs[0], at=2.0)
    end(connection, *jobs)
    assert problems(connection, tmp_path, accounts) == ["unexplained"]


def test_a_job_that_was_rolled_back(connection: Connection, tmp_path: Path) -> None:
    jobs = some(connection, accounts := Accounts())
    accounts.note([jobs[-1] + 1], Fate.ROLLED_BACK)
    note(tmp_path, *jobs, jobs[-1] + 1)
    end(connection, *jobs)
    assert problems(connection, tmp_path, accounts) == ["rolled back, but run"]
    accounts.note(jobs[:1], Fate.ROLLED_BACK)
    assert "rolled back, but there" in problems(connection, tmp_path, accounts)


def test_a_transaction_of_which_a_part_is_there(connection: Connection, tmp_path: Path) -> None:
    jobs = some(connection, accounts := Accounts())
    note(tmp_path, *jobs)
    end(connection, *jobs)
    accounts.note(jobs, Fate.UNKNOWN)  # the answer to COMMIT was lost, but it was done
    assert problems(connection, tmp_path, accounts) == []
    accounts.note([*jobs, jobs[-1] + 1], Fate.UNKNOWN)
    assert problems(connection, tmp_path, accounts) == ["torn transaction"]


def test_a_subworker_that_outlives_its_supervisor(connection: Connection, tmp_path: Path) -> None:
    jobs = some(connection, accounts := Accounts())
    note(tmp_path, *jobs, at=20.0)
    end(connection, *jobs)
    killed = Fault(SUPERVISOR, 10.0, 11.0, 0, 100)
    assert problems(connection, tmp_path, accounts, [killed]) == ["orphan"]


def test_a_result_of_the_wrong_size(connection: Connection, tmp_path: Path) -> None:
    job = enqueue(connection, "large", text="x", size=5)
    note(tmp_path, job)
    connection.execute(
        "INSERT INTO wsup.outcome (job, state, attempt, result)"
        " VALUES (%s, 'succeeded', 1, '\"xxxx\"')",
        [job],
    )
    (accounts := Accounts()).note([job], Fate.COMMITTED)
    assert problems(connection, tmp_path, accounts) == ["wrong result"]


def test_a_child_that_is_too_early(connection: Connection, tmp_path: Path) -> None:
    jobs = some(connection, accounts := Accounts())
    accounts.requests.note([Child(jobs[1], (jobs[0],), (jobs[2],))], Fate.COMMITTED)
    note(tmp_path, jobs[0], jobs[2], at=1.0)
    note(tmp_path, jobs[1], at=2.0)
    end(connection, *jobs)
    assert problems(connection, tmp_path, accounts) == []
    accounts.requests.note([Child(jobs[2], (jobs[1],))], Fate.COMMITTED)
    assert problems(connection, tmp_path, accounts) == ["dependency broken"]


def test_a_child_whose_parent_was_not_well(connection: Connection, tmp_path: Path) -> None:
    jobs = some(connection, accounts := Accounts())
    note(tmp_path, *jobs[1:])
    end(connection, *jobs[1:])
    cancel(connection, jobs[0])
    accounts.requests.note([Cancelled(jobs[0], "cancelled")], Fate.COMMITTED)
    assert problems(connection, tmp_path, accounts) == []
    accounts.requests.note([Child(jobs[1], (jobs[0],))], Fate.COMMITTED)
    assert problems(connection, tmp_path, accounts) == ["dependency broken"]


def test_a_job_that_was_cancelled(connection: Connection, tmp_path: Path) -> None:
    jobs = some(connection, accounts := Accounts())
    note(tmp_path, *jobs[1:])
    end(connection, *jobs[1:])
    cancel(connection, jobs[0])
    # Nobody has asked for that.
    assert problems(connection, tmp_path, accounts) == ["wrong end"]
    accounts.requests.note([Cancelled(jobs[0], "cancelled")], Fate.COMMITTED)
    assert problems(connection, tmp_path, accounts) == []
    note(tmp_path, jobs[0], at=time.monotonic() + 1)
    assert problems(connection, tmp_path, accounts) == ["ran though cancelled"]


def test_two_jobs_of_one_unique_key(connection: Connection, tmp_path: Path) -> None:
    args = ({"key": "k", "version": version, "seconds": 0} for version in (7, 8))
    jobs = [enqueue(connection, "unique", **each) for each in args]
    (accounts := Accounts()).note(jobs, Fate.COMMITTED)
    note(tmp_path, jobs[0], at=2.0)
    note(tmp_path, jobs[1], at=3.0)
    for job, version in zip(jobs, (7, 8), strict=True):
        end(connection, job, result=version)
    first, second = (
        Unique(job, "k", "new", version, at)
        for job, version, at in zip(jobs, (7, 8), (1.0, 2.5), strict=True)
    )
    accounts.requests.note([first, second], Fate.COMMITTED)
    assert problems(connection, tmp_path, accounts) == []
    accounts = Accounts()
    accounts.requests.note([first, second._replace(answered=1.5)], Fate.COMMITTED)
    assert problems(connection, tmp_path, accounts) == ["unique key broken"]
    accounts = Accounts()
    accounts.requests.note([first._replace(version=6), second], Fate.COMMITTED)
    assert problems(connection, tmp_path, accounts) == ["unique key broken"]


def test_two_jobs_of_one_key_at_once(connection: Connection, tmp_path: Path) -> None:
    jobs = some(connection, accounts := Accounts())
    end(connection, *jobs)
    accounts.requests.note([Keyed(job, "k", 2) for job in jobs], Fate.COMMITTED)
    for job, at in zip(jobs, (1.0, 1.5, 3.0), strict=True):
        note(tmp_path, job, at=at, until=at + 2)
    assert problems(connection, tmp_path, accounts) == []
    accounts.requests.note([Keyed(job, "l", 1) for job in jobs[:2]], Fate.COMMITTED)
    assert problems(connection, tmp_path, accounts) == ["key limit exceeded"]


def test_what_is_left_is_counted(connection: Connection) -> None:
    assert len(LEFT) == len(left := rows_left(connection))
    assert not any(left)
    parent = enqueue(connection, "noop", number=0)
    connection.execute("SELECT wsup.enqueue('child', after => %s)", [[parent]])
    left = rows_left(connection)
    found = {name: count for name, count in zip(LEFT, left, strict=True) if count}
    assert found == {
        "ready": 1, "jobs without an outcome": 2, "children": 1, "dependencies": 1, "loose ends": 1,
    }  # fmt: skip


def rows_left(connection: Connection) -> tuple[int, ...]:
    return connection.execute(statement("left")).fetchone() or ()
