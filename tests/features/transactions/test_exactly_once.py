"""A task's own transaction and its job's outcome are one: whatever dies at whichever step."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from running import Supervisor, enqueue, failures, finished, result, runs, state, until

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]

#: Where the task is when something dies; at "commit" the server works on its COMMIT.
STEPS = ("block", "commit", "after")
#: Held by the test while a COMMIT is to hang.
HANG = 7


@pytest.fixture(autouse=True)
def _bookings(connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE booking (job bigint, attempt integer, hangs boolean,"
        " UNIQUE (job, attempt) DEFERRABLE INITIALLY DEFERRED)"
    )
    connection.execute(
        "CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.hangs THEN"
        f" PERFORM pg_advisory_xact_lock({HANG}); END IF; RETURN NULL; END'"
    )
    connection.execute(
        "CREATE CONSTRAINT TRIGGER hang AFTER INSERT ON booking"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hang()"
    )


class Held:
    """A job that waits at a step of its task."""

    def __init__(self, connection: Connection, folder: Path, task: str, step: str) -> None:
        self.connection = connection
        self.folder = folder
        for name in ("reached", "go", "cut"):
            (folder / name).unlink(missing_ok=True)
        connection.execute("SELECT pg_advisory_lock(%s)", [HANG])
        self.job = enqueue(connection, task, folder=str(folder), **({"at": step} if step else {}))
        until((folder / "reached").exists, f"{task} has reached {step}")
        if step in ("commit", ""):
            until(self.backend, "the COMMIT hangs")

    def backend(self) -> int | None:
        """The server's process that works on the hanging COMMIT."""
        row = self.connection.execute(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted",
            [HANG],
        ).fetchone()
        return row[0] if row else None

    def subworker(self) -> int:
        return int(until((self.folder / "reached").read_text))

    def go(self) -> None:
        (self.folder / "go").touch()
        self.connection.execute("SELECT pg_advisory_unlock(%s)", [HANG])


def bookings(connection: Connection, job: int) -> list[int]:
    """The attempts whose effects are there."""
    return [
        row[0] for row in connection.execute("SELECT attempt FROM booking WHERE job = %s", [job])
    ]


def once(connection: Connection, job: int, attempt: int) -> None:
    """The job has succeeded in this attempt, and had its effect in this one alone."""
    assert result(connection, job) == {"booked": attempt}
    row = connection.execute("SELECT attempt FROM wsup.outcome WHERE job = %s", [job]).fetchone()
    assert row == (attempt,)
    assert bookings(connection, job) == [attempt]


def quiet(supervisor: Supervisor) -> None:
    """Nothing alarming is told of it."""
    assert "too late" not in supervisor.log
    assert "given back" not in supervisor.log


@pytest.mark.parametrize(
    ("task", "app"), [("book", "sync"), ("book", "both"), ("book_async", "both")]
)
def test_a_subworker_or_a_backend_is_killed_at_every_step(
    task: str, app: str, make_supervisor: MakeSupervisor, connection: Connection, tmp_path: Path
) -> None:
    host = make_supervisor("--subworkers", "2", app=f"bookings:{app}").start()
    for step in STEPS:
        held = Held(connection, tmp_path, task, step)
        os.kill(held.subworker(), signal.SIGKILL)
        host.wait_for("died: SIGKILL", 1 + STEPS.index(step))
        # Who waits for a COMMIT keeps nobody else waiting, not even in the same claim.
        assert finished(connection, enqueue(connection, "other")) == ["succeeded"]
        held.go()
        once(connection, held.job, attempt=2 if step == "block" else 1)
    # Both: what is said of the dead one's job is not forgotten while nobody knows about its COMMIT.
    held = Held(connection, tmp_path, task, "commit")
    os.kill(held.subworker(), signal.SIGKILL)
    host.wait_for("died: SIGKILL", 4)
    assert finished(connection, enqueue(connection, "other")) == ["succeeded"]
    connection.execute("SELECT pg_terminate_backend(%s)", [held.backend()])
    held.go()
    once(connection, held.job, attempt=2)
    for step in STEPS[:2]:
        held = Held(connection, tmp_path, task, step)
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s OR"
            " query LIKE 'INSERT INTO booking%%' AND state = 'idle in transaction'",
            [held.backend()],
        )
        held.go()
        once(connection, held.job, attempt=2)
        ((attempt, kind, message),) = failures(connection, held.job)
        assert attempt == 1
        if step == "commit":
            assert kind == "ConnectionLost"
            assert "may be done, or not" in message
    assert host.stop() == 0
    quiet(host)


@pytest.mark.parametrize("step", STEPS)
def test_a_supervisor_is_killed_at_every_step(
    step: str, make_supervisor: MakeSupervisor, connection: Connection, tmp_path: Path
) -> None:
    host = make_supervisor("--subworkers", "2", app="bookings:sync").start()
    held = Held(connection, tmp_path, "book", step)
    host.kill()
    host.start()
    # A COMMIT that hangs delays the rescue of its own job alone.
    assert finished(connection, enqueue(connection, "other")) == ["succeeded"]
    held.go()
    once(connection, held.job, attempt=1)
    assert connection.execute("SELECT FROM wsup.claim").rowcount == 0
    assert [kind for _, kind, _ in failures(connection, held.job)] == (
        ["SupervisorDied"] if step == "block" else []
    )
    assert host.stop() == 0


def test_the_answer_to_a_commit_is_lost(
    make_supervisor: MakeSupervisor, connection: Connection, tmp_path: Path
) -> None:
    """The task takes it for lost, and would try again: the database knows better."""
    host = make_supervisor("--subworkers", "1", app="bookings:sync").start()
    held = Held(connection, tmp_path, "book_cut_off", "")
    (tmp_path / "cut").touch()
    # The attempt has failed, as far as the supervisor knows, and that can't be settled yet.
    until(lambda: host.status()["subworkers"][0]["state"] == "idle")
    assert finished(connection, enqueue(connection, "other")) == ["succeeded"]
    assert (state(connection, held.job), bookings(connection, held.job)) == ("running", [])
    held.go()
    assert finished(connection, held.job) == ["succeeded"]
    assert (bookings(connection, held.job), failures(connection, held.job)) == ([1], [])
    assert host.stop() == 0
    quiet(host)


def test_what_ends_beside_a_job_that_is_killed_is_over(
    make_supervisor: MakeSupervisor, connection: Connection, tmp_path: Path
) -> None:
    """What ran beside it is given to others, but for what has ended itself."""
    host = make_supervisor("--subworkers", "1", "--kill-grace", "0.1", app="bookings:both").start()
    held = Held(connection, tmp_path, "book_async", "after")
    assert finished(connection, enqueue(connection, "block")) == ["failed"]
    assert finished(connection, enqueue(connection, "other")) == ["succeeded"]
    once(connection, held.job, attempt=1)
    assert runs(tmp_path / "runs") == {held.job: 1}
    assert host.stop() == 0
    quiet(host)


@pytest.mark.parametrize("task", ["book", "book_async"])
def test_who_was_buried_meanwhile_is_refused(
    task: str, make_supervisor: MakeSupervisor, connection: Connection, tmp_path: Path
) -> None:
    host = make_supervisor("--subworkers", "1", app="bookings:both").start()
    held = Held(connection, tmp_path, task, "block")
    connection.execute("SELECT wsup.pause_queue('default')")
    connection.execute("SELECT wsup.rescue(id, 5) FROM wsup.supervisor")
    assert state(connection, held.job) == "ready"
    held.go()
    # The task is told so, if its supervisor has not heard of it before, and ended it.
    until(lambda: "came too late" in host.log or "starting over" in host.log)
    assert bookings(connection, held.job) == []
    assert host.stop() == 0
    assert state(connection, held.job) == "ready"


@pytest.mark.parametrize("task", ["book_late", "book_late_async"])
def test_nobody_interrupts_a_commit(
    task: str, make_supervisor: MakeSupervisor, connection: Connection, tmp_path: Path
) -> None:
    """A time-out that strikes in its midst is too late."""
    host = make_supervisor("--subworkers", "1", app="bookings:both").start()
    (tmp_path / "go").touch()
    connection.execute("SELECT pg_advisory_lock(%s)", [HANG])
    job = enqueue(connection, task, folder=str(tmp_path))
    until(
        lambda: (
            connection.execute(
                "SELECT FROM pg_stat_activity WHERE wait_event = 'advisory'"
                " AND query_start < clock_timestamp() - interval '0.4 s'"
            ).rowcount
        ),
        "its time is over",
    )
    connection.execute("SELECT pg_advisory_unlock(%s)", [HANG])
    assert finished(connection, job) == ["succeeded"]
    assert (bookings(connection, job), failures(connection, job)) == ([1], [])
    assert host.stop() == 0
    quiet(host)


def test_a_stop_waits_until_it_is_known(
    make_supervisor: MakeSupervisor, connection: Connection, tmp_path: Path
) -> None:
    host = make_supervisor("--subworkers", "1", app="bookings:sync").start()
    held = Held(connection, tmp_path, "book", "commit")
    host.send(signal.SIGINT)
    host.wait_for("these are given back")
    held.go()
    assert host.ended() == 0
    assert "too late" not in host.log
    assert finished(connection, held.job) == ["succeeded"]
    assert bookings(connection, held.job) == [1]
