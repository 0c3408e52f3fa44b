"""The wall clock of a supervisor's host steps by a day; timers and leases don't go by it.

libfaketime steps it, for the supervisor and its subworkers alone: PostgreSQL, the other host and
the test itself keep the real time, and the monotonic clock is left alone, as the kernel leaves it.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from running import Supervisor, alive, enqueue, failures, finished, result, runs, state, until

from wsup.supervisor.liveness import WITNESS_SECONDS

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]

#: Where distributions put it; Debian's package is `faketime`.
LIBRARY = next(
    (
        str(found)
        for folder in ("/usr/lib", "/usr/lib64", "/usr/local/lib")
        for place in ("faketime", "*/faketime")
        for found in Path(folder).glob(f"{place}/libfaketime.so.1")
    ),
    None,
)
pytestmark = pytest.mark.skipif(
    LIBRARY is None,
    reason="libfaketime is not installed: apt-get install faketime",
)

STEPS = {"+1d": timedelta(days=1), "-1d": timedelta(days=-1)}
#: Seconds: what passes within a test, and what doesn't.
SHORT, LATER, LONG = 3, 5, 600
FLAGS = ("--lease", "60", "--poll", "60")


class Clock:
    """The wall clock of one host."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.step("+0")

    def step(self, by: str) -> None:
        """From now on, it is off by "+1d" or "-1d"."""
        aside = self._file.with_suffix(".new")
        aside.write_text(by)
        aside.rename(self._file)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }


@pytest.fixture(scope="module", autouse=True)
def _swept() -> Iterator[None]:
    """libfaketime leaves names in /dev/shm for each process that is killed."""
    yield
    for file in Path("/dev/shm").glob("*faketime_s*_*"):
        if not alive(int(file.name.rpartition("_")[2])):
            file.unlink(missing_ok=True)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


@pytest.fixture
def stepping(make_supervisor: MakeSupervisor, clock: Clock) -> Supervisor:
    """A supervisor on the host whose clock will step."""
    return make_supervisor("--subworkers", "4", *FLAGS).start(**clock.environment)


def ahead(connection: Connection) -> timedelta:
    """How far the wall clock of the subworkers is ahead of the server's."""
    job = enqueue(connection, "wall_clock")
    now = datetime.fromisoformat(result(connection, job))
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    difference: timedelta = now - row[0]
    return difference


def timed(connection: Connection, task: str, timeout: float, folder: Path) -> int:
    """A job that waits for the file `go`, and notes each of its starts."""
    args = {"path": str(folder / "go"), "started": str(folder / "started")}
    row = connection.execute(
        "SELECT wsup.enqueue(%s, %s::jsonb, timeout => %s)", [task, json.dumps(args), timeout]
    ).fetchone()
    assert row is not None
    return int(row[0])


def enqueue_later(host: Supervisor, clock: Clock, ledger: Path, delay: float) -> int:
    """`wsup enqueue` on the host whose clock steps."""
    args = json.dumps({"path": str(ledger)})
    command = ["enqueue", "count", args, "--delay", str(delay), "--database", host.database]
    done = subprocess.run(
        [sys.executable, "-m", "wsup", *command],
        env={**os.environ, **clock.environment},
        cwd=host.folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout.split()[-1])


def seconds(connection: Connection, job: int) -> tuple[float, float]:
    """From when it was enqueued until it was to start, and until its end, by the server's clock."""
    row = connection.execute(
        "SELECT extract(epoch FROM coalesce(j.run_at, j.enqueued_at) - j.enqueued_at)::float8,"
        " extract(epoch FROM o.finished_at - j.enqueued_at)::float8"
        " FROM wsup.job j JOIN wsup.outcome o ON o.job = j.id WHERE j.id = %s",
        [job],
    ).fetchone()
    assert row is not None
    return float(row[0]), float(row[1])


@pytest.mark.parametrize("by", STEPS)
def test_time_outs_and_delays_keep_to_their_seconds(
    stepping: Supervisor, clock: Clock, connection: Connection, tmp_path: Path, by: str
) -> None:
    ledger = tmp_path / "ledger"
    waiters = ("wait_for_file", "wait_async")
    later = [enqueue_later(stepping, clock, ledger, LATER)]
    patient = [timed(connection, task, LONG, tmp_path) for task in waiters]
    hasty = [timed(connection, task, SHORT, tmp_path) for task in waiters]
    started = tmp_path / "started"
    until(lambda: len(runs(started)) == 4, "all four have started")
    clock.step(by)
    assert abs(ahead(connection) - STEPS[by]) < timedelta(hours=1)
    later.append(enqueue_later(stepping, clock, ledger, 1))
    retried = enqueue(connection, "fail")
    assert finished(connection, *hasty) == ["failed", "failed"]
    assert finished(connection, *later) == ["succeeded", "succeeded"]
    assert finished(connection, retried) == ["failed"]
    for job in hasty:
        assert [failure[:2] for failure in failures(connection, job)] == [(1, "TimedOut")]
        assert seconds(connection, job)[1] >= SHORT
    for job, delay in zip(later, (LATER, 1), strict=True):
        due, ended = seconds(connection, job)
        assert due == pytest.approx(delay, abs=0.5)  # and not a day
        assert ended >= due
    assert [attempt for attempt, *_ in failures(connection, retried)] == [1, 2, 3]
    assert [state(connection, job) for job in patient] == ["running", "running"]
    (tmp_path / "go").touch()
    assert finished(connection, *patient) == ["succeeded", "succeeded"]
    assert runs(started) == Counter([*patient, *hasty])
    assert runs(ledger) == Counter(later)


@pytest.mark.parametrize("by", STEPS)
def test_leases_are_not_expired_by_a_step_nor_kept_alive(
    stepping: Supervisor,
    make_supervisor: MakeSupervisor,
    clock: Clock,
    connection: Connection,
    tmp_path: Path,
    by: str,
) -> None:
    other = make_supervisor("--subworkers", "1", *FLAGS).start()
    hosts = (stepping, other)
    numbers = [host.status()["supervisor"] for host in hosts]
    folders = [host.folder for host in hosts]
    jobs = []
    for host, folder in zip(hosts, folders, strict=True):
        for each in hosts:
            each.ask("resume" if each is host else "pause")
        jobs.append(timed(connection, "wait_for_file", LONG, folder))
        until(lambda folder=folder: runs(folder / "started"), "it runs")
    until(lambda: min(host.status()["uptime"] for host in hosts) > WITNESS_SECONDS)
    other.send(signal.SIGSTOP)  # it gives no sign of life before the step, and none after it
    looks(connection, numbers[0])
    clock.step(by)
    looks(connection, numbers[0])
    other.send(signal.SIGCONT)
    looks(connection, numbers[1])
    (folders[0] / "go").touch()
    assert finished(connection, jobs[0]) == ["succeeded"], failures(connection, jobs[0])
    assert [runs(folder / "started").total() for folder in folders] == [1, 1]
    stepping.ask("resume")
    assert abs(ahead(connection) - STEPS[by]) < timedelta(hours=1)
    other.kill()
    until(lambda: runs(folders[1] / "started").total() == 2, "who is dead is buried all the same")
    (folders[1] / "go").touch()
    assert finished(connection, jobs[1]) == ["succeeded"]
    assert stepping.status()["supervisor"] == numbers[0]


def looks(connection: Connection, supervisor: int) -> None:
    """Wait until a supervisor has beaten, and looked at the others, three times more."""
    before = beats(connection, supervisor)
    until(lambda: beats(connection, supervisor) >= before + 3, f"{supervisor} has looked")


def beats(connection: Connection, supervisor: int) -> int:
    row = connection.execute(
        "SELECT beat FROM wsup.supervisor WHERE id = %s", [supervisor]
    ).fetchone()
    assert row is not None, f"supervisor {supervisor} was buried"
    return int(row[0])


@pytest.mark.parametrize("by", STEPS)
def test_schedules_tick_by_the_servers_clock(
    make_supervisor: MakeSupervisor, clock: Clock, connection: Connection, by: str
) -> None:
    host = make_supervisor("--subworkers", "1", *FLAGS)
    tasks = host.folder / "tasks.py"
    tasks.write_text(tasks.read_text() + "\napp.schedule(every=0.5)(noop)\n")
    host.start(**clock.environment)
    rows = "SELECT (options->>'scheduled_for')::timestamptz FROM wsup.job ORDER BY id"
    until(lambda: connection.execute(rows).rowcount >= 3, "it ticks")
    clock.step(by)
    before = connection.execute(rows).rowcount
    until(lambda: connection.execute(rows).rowcount >= before + 5, "it ticks on")
    ticks = [row[0] for row in connection.execute(rows)]
    assert ticks == [ticks[0] + i * timedelta(seconds=0.5) for i in range(len(ticks))]


@pytest.mark.parametrize("by", STEPS)
def test_jobs_expire_by_the_servers_clock(
    stepping: Supervisor, clock: Clock, connection: Connection, tmp_path: Path, by: str
) -> None:
    clock.step(by)
    assert abs(ahead(connection) - STEPS[by]) < timedelta(hours=1)
    path = json.dumps({"path": str(tmp_path / "go"), "started": str(tmp_path / "started")})
    row = connection.execute(
        """SELECT wsup.enqueue('noop', expires => '1 h', deadline => '1 h'),
                  wsup.enqueue('noop', expires_at => now() - interval '1 s'),
                  wsup.enqueue('wait_for_file', %s, deadline => '1 h'),
                  wsup.enqueue('wait_for_file', %s, deadline => '1 s')""",
        [path, path],
    ).fetchone()
    assert row is not None
    in_time, late, patient, hasty = row
    assert finished(connection, in_time, late, hasty) == ["succeeded", "expired", "failed"]
    assert state(connection, patient) == "running"
    assert seconds(connection, hasty)[1] >= 0.9
    (tmp_path / "go").touch()
    assert finished(connection, patient) == ["succeeded"]
