"""How far a job says it is: seen while it runs, kept when it has ended, and never in the way."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from running import Supervisor, enqueue, finished, result, state, until
from shell import Wsup

from wsup import App, Progress

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]

KINDS = [("sheets", "sync"), ("sheets", "both"), ("sheets_async", "both")]
#: What a task has said with a NUL and a lone surrogate in it.
SAID = "sheet 3 of 8\\0 \\ud800"


@pytest.fixture
def app(database: str) -> App:
    return App(database)


@pytest.mark.parametrize(("task", "kind"), KINDS)
def test_the_latest_is_seen_while_the_job_runs_and_the_last_one_stays(
    task: str,
    kind: str,
    make_supervisor: MakeSupervisor,
    connection: Connection,
    app: App,
    tmp_path: Path,
) -> None:
    make_supervisor("--subworkers", "1", app=f"noting:{kind}").start()
    job = app.job(enqueue(connection, task, path=str(tmp_path / "go")))
    seen = until(lambda: (p := job.progress()) and p.fraction == 0.4 and p, "0.4 is seen")
    assert (seen.message, seen.attempt, job.status()) == (SAID, 1, "running")
    (tmp_path / "go").touch()
    assert finished(connection, job.id) == ["succeeded"]
    assert job.progress() == Progress(1.0, "all sheets", 1, until(job.progress).at)


def test_a_job_shorter_than_any_look_is_heard(
    make_supervisor: MakeSupervisor, connection: Connection, app: App
) -> None:
    make_supervisor("--subworkers", "2", app="noting:sync").start()
    jobs = [enqueue(connection, "quick") for _ in range(50)]
    finished(connection, *jobs)
    assert connection.execute("SELECT fraction FROM wsup.progress").fetchall() == [(0.5,)] * 50


def test_who_says_it_all_the_time_costs_a_few_writes_a_second(
    make_supervisor: MakeSupervisor, connection: Connection
) -> None:
    host = make_supervisor("--subworkers", "1", app="noting:sync").start()
    job = enqueue(connection, "flood", seconds=1.5)
    said = result(connection, job)
    assert said > 10_000
    connection.execute("SELECT pg_stat_force_next_flush()")
    fraction, message, value = connection.execute(
        "SELECT fraction, message, value FROM wsup.progress JOIN wsup.checkpoint USING (job)"
    ).fetchone() or (None, None, None)
    assert (message, value) == (f"step {said}", said)
    assert fraction == pytest.approx(said / (said + 1))
    assert host.stop() == 0
    writes = until(
        lambda: (
            connection.execute(
                "SELECT n_tup_ins + n_tup_upd FROM pg_stat_user_tables WHERE relname = 'progress'"
            ).fetchone()
            or (0,)
        )[0]
    )
    assert writes <= 1.5 / 0.25 + 3


def test_what_a_fraction_must_be(make_supervisor: MakeSupervisor, connection: Connection) -> None:
    make_supervisor("--subworkers", "1", app="noting:sync").start()
    assert result(connection, enqueue(connection, "nonsense")) == [
        f"progress({value}): give a number from 0 to 1"
        for value in ("1.1", "-0.1", "nan", "'x'", "None")
    ]


def test_a_supervisor_taken_for_dead_changes_nothing_any_more(
    make_supervisor: MakeSupervisor, connection: Connection, app: App, tmp_path: Path
) -> None:
    """Its job has gone to another one meanwhile: what it then says of it comes too late."""
    host = make_supervisor("--subworkers", "1", app="noting:sync").start()
    job = app.job(enqueue(connection, "sheets", path=str(tmp_path / "go")))
    until(lambda: (p := job.progress()) and p.fraction == 0.4)
    host.send(signal.SIGSTOP)
    connection.execute("UPDATE wsup.claim SET id = id + 1000")
    connection.execute("UPDATE wsup.progress SET message = 'of another one'")
    (tmp_path / "go").touch()
    host.send(signal.SIGCONT)
    host.wait_for("came too late")
    assert (until(job.progress).message, state(connection, job.id)) == ("of another one", "running")


def test_the_command_line_follows_a_job(
    make_supervisor: MakeSupervisor, connection: Connection, wsup: Wsup, app: App, tmp_path: Path
) -> None:
    make_supervisor("--subworkers", "1", app="noting:sync").start()
    job = enqueue(connection, "sheets", path=str(tmp_path / "go"))
    until(lambda: (p := app.job(job).progress()) and p.fraction == 0.4)
    shown = json.loads(wsup("jobs", "show", job, "--json").stdout)
    assert (shown["progress"], shown["progress_message"]) == (pytest.approx(0.4), SAID)
    (tmp_path / "go").touch()
    followed = wsup("jobs", "show", job, "--follow")
    assert followed.exit_code == 0
    assert "succeeded  100%  all sheets" in followed.stdout
    assert "progress message  all sheets" in followed.stdout
    lines = wsup("jobs", "show", job, "--follow", "--json").stdout.splitlines()
    assert json.loads(lines[0])["fraction"] == 1
    assert json.loads(lines[-1])["state"] == "succeeded"


def test_following_a_job_that_fails_or_does_not_exist(connection: Connection, wsup: Wsup) -> None:
    job = enqueue(connection, "sheets")
    connection.execute("SELECT wsup.cancel(ARRAY[%s::bigint])", [job])
    assert wsup("jobs", "show", job, "--follow").exit_code == 1
    for command in (("show", "--follow"), ("logs",)):
        refused = wsup("jobs", command[0], 99, *command[1:])
        assert refused.exit_code == 2
        assert refused.stderr == "wsup: job 99: there is no such job: see wsup jobs list\n"
