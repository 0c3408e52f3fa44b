"""Old jobs go by themselves where supervisors run, and by hand."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from finished_jobs import finished_jobs, left
from road import fill
from running import PATIENCE, Supervisor, finished, until
from shell import Wsup, complaint

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]

by_the_host = pytest.mark.direct("a server removes old jobs itself")
SECOND = 1 / 86_400  # in days
#: Jobs that failed stay, the others go soon after their end; beats, and so looks, come often.
FLAGS = (
    *("--subworkers", "1", "--poll", "1"),
    *("--retention-succeeded", "0.5", "--retention-cancelled", "0.5", "--retention-failed", "0"),
)


@by_the_host
def test_supervisors_remove_what_is_old(
    make_supervisor: MakeSupervisor, connection: Connection
) -> None:
    """One of them does, and when that has died another; new jobs go, too, when their time comes."""
    (waits,) = fill(connection, 1, "nobody")
    kept = finished_jobs(connection, 5, "failed", 1000)
    kept += finished_jobs(connection, 5, "expired", 10)
    finished_jobs(connection, 12_000, days=2 * SECOND)
    first = make_supervisor(*FLAGS).launch().wait_for("registered as supervisor")
    second = make_supervisor(*FLAGS).launch().wait_for("registered as supervisor")
    until(lambda: left(connection) == [waits, *kept], "the old ones are gone")
    jobs = fill(connection, 3)
    until(lambda: left(connection) == [waits, *kept], f"jobs {jobs} have run and are gone")
    first.wait_for("jobs removed")
    assert "jobs removed" not in second.log
    first.kill()
    # Two minutes later …
    connection.execute(
        "UPDATE wsup.supervisor SET beaten_at = now() - interval '3 minutes' WHERE pid = %s",
        [first.pid],
    )
    finished_jobs(connection, 10, days=1)
    second.wait_for("10 jobs removed that had ended 0.5 s before")
    assert left(connection) == [waits, *kept]
    assert second.stop() == 0


@by_the_host
def test_a_reload_may_let_them_stay(
    make_supervisor: MakeSupervisor, connection: Connection
) -> None:
    supervisor = make_supervisor("--subworkers", "1", "--poll", "1")
    settings = supervisor.folder / "wsup.toml"
    settings.write_text("retention_succeeded = 0.5\n")
    supervisor.start()
    finished_jobs(connection, 10)
    supervisor.wait_for("10 jobs removed")
    settings.write_text("retention_succeeded = 0\nretention_cancelled = 0.5\n")
    assert supervisor.ask("reload")["ok"]
    kept = finished_jobs(connection, 10)
    finished_jobs(connection, 7, "cancelled")
    supervisor.wait_for("7 jobs removed")
    assert left(connection) == kept


@by_the_host
def test_a_reader_that_holds_a_lock_holds_up_no_job(
    make_supervisor: MakeSupervisor, database: str, connection: Connection
) -> None:
    """Removing waits for nobody for long, and nobody waits for it."""
    jobs = finished_jobs(connection, 10)
    with psycopg.connect(database) as operator:
        operator.execute("SELECT FROM wsup.outcome WHERE job = %s FOR UPDATE", jobs[:1])
        supervisor = make_supervisor(*FLAGS, "--log-level", "debug").start()
        supervisor.wait_for("while removing old jobs: canceling statement due to lock timeout")
        (job,) = fill(connection, 1)
        assert finished(connection, job) == ["succeeded"]
        operator.rollback()
    until(lambda: not set(left(connection)) & set(jobs), "the old ones are gone", PATIENCE)


def test_by_hand(wsup: Wsup, connection: Connection) -> None:
    finished_jobs(connection, 3)
    finished_jobs(connection, 2, "cancelled")
    kept = finished_jobs(connection, 2, "failed")
    old = finished_jobs(connection, 1, "failed", days=31)
    whole = (
        "{} jobs {}removed: cancelled, succeeded more than 604800 s ago\n"
        "{} jobs {}removed: expired, failed more than 2.592e+06 s ago\n"
    )
    counted = wsup("prune", "--dry-run")
    assert counted.stdout == whole.format(5, "would be ", 1, "would be ")
    assert left(connection)[-1] == old[0]
    assert wsup("prune").stdout == whole.format(5, "", 1, "")
    assert left(connection) == kept
    told = wsup("prune", "--retention-failed", "600000", "--retention-succeeded", "0").stdout
    assert "2 jobs removed: failed more than 600000 s ago" in told
    assert "succeeded" not in told
    assert left(connection) == []


def test_times_are_checked() -> None:
    assert "--retention-failed -1: use a number of seconds from 0" in complaint(
        "prune", "--retention-failed", "-1"
    )
