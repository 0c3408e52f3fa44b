"""Reloads: under load, one in another, during a stop, with what can't be loaded."""

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from running import Supervisor, alive, enqueue, finished, runs, state, until

from wsup.supervisor.priority import WARMING_NICE, can_come_back

Connection = psycopg.Connection[Any]

#: To each number of subworkers, with and without the other queue.
RELOADS = 6


def running_job(connection: Connection, folder: Path) -> tuple[int, Path]:
    """A job that runs until a file is there; returns both once it has started."""
    started, go = folder / "started", folder / "go"
    job = enqueue(connection, "wait_for_file", path=str(go), started=str(started))
    until(started.exists)
    return job, go


def test_hup_reloads_the_code_and_old_jobs_finish_on_the_old(
    supervisor: Supervisor, connection: Connection, tmp_path: Path
) -> None:
    job, go = running_job(connection, tmp_path)
    tasks = supervisor.folder / "tasks.py"
    # Of another length: within one second, Python can't tell two files of the same length apart.
    tasks.write_text(tasks.read_text().replace("VERSION = 1", "VERSION = 2  # new"))
    supervisor.send(signal.SIGHUP)
    supervisor.wait_for("reloaded: generation 2")
    probe = enqueue(connection, "version")
    assert finished(connection, probe) == ["succeeded"]
    assert connection.execute(
        "SELECT result::text FROM wsup.outcome WHERE job = %s", [probe]
    ).fetchone() == ("2",)
    assert state(connection, job) == "running"
    go.touch()
    assert finished(connection, job) == ["succeeded"]
    until(lambda: {m["generation"] for m in supervisor.status()["subworkers"]} == {2})


def test_broken_code_is_not_taken_over(supervisor: Supervisor, connection: Connection) -> None:
    tasks = supervisor.folder / "tasks.py"
    tasks.write_text("import nothing_of_that_name\n")
    reply = supervisor.ask("reload")
    assert not reply["ok"]
    assert "nothing_of_that_name" in reply["error"]
    supervisor.wait_for("the old code works on")
    assert finished(connection, enqueue(connection, "add", a=1, b=1)) == ["succeeded"]


def test_jobs_neither_get_lost_nor_repeat_during_reloads(
    make_supervisor: Callable[..., Supervisor],
    connection: Connection,
    database: str,
    tmp_path: Path,
) -> None:
    """Each of them brings more subworkers, or fewer, and every other one a queue, or none."""
    supervisor = make_supervisor()
    settings = supervisor.folder / "wsup.toml"
    settings.write_text("subworkers = 2\n")
    supervisor.start()
    ledger, enough = tmp_path / "ledger", threading.Event()
    jobs: list[int] = []

    def enqueue_on_and_on() -> None:
        with psycopg.connect(database, autocommit=True) as writer:
            while not enough.is_set():
                rows = writer.execute(
                    "SELECT wsup.enqueue('count', jsonb_build_object('path', %s::text))"
                    "  FROM generate_series(1, 200)",
                    [str(ledger)],
                )
                jobs.extend(row[0] for row in rows)
                # So that there are always some, and never very many.
                until(lambda: unfinished(writer) < 400)

    writing = threading.Thread(target=enqueue_on_and_on)
    writing.start()
    try:
        for number in range(RELOADS):
            queues = ["default", "new"][: 1 + number % 2]
            settings.write_text(f"subworkers = {1 + number % 3}\nqueues = {queues}\n")
            assert supervisor.ask("reload")["ok"]
    finally:
        enough.set()
        writing.join()
    until(lambda: unfinished(connection) == 0)
    ran = Counter(int(line.split()[0]) for line in ledger.read_text().splitlines())
    assert ran == Counter(jobs)
    assert supervisor.status()["generation"] == RELOADS + 1


def unfinished(connection: Connection) -> int:
    row = connection.execute(
        "SELECT (SELECT count(*) FROM wsup.job) - (SELECT count(*) FROM wsup.outcome)"
    ).fetchone()
    return int(row[0]) if row else 0


def test_a_reload_that_comes_during_another_follows_it(
    supervisor: Supervisor, connection: Connection, tmp_path: Path
) -> None:
    importing, go = slow_import(supervisor, tmp_path)
    supervisor.send(signal.SIGHUP)
    until(importing.exists)
    supervisor.send(signal.SIGHUP)
    assert finished(connection, enqueue(connection, "version")) == ["succeeded"]
    assert supervisor.status()["generation"] == 1
    go.touch()
    supervisor.wait_for("reloaded: generation 2")
    supervisor.wait_for("reloaded: generation 3")
    assert finished(connection, enqueue(connection, "version")) == ["succeeded"]


def test_an_import_steps_back_behind_the_jobs_and_what_it_forks_does_not(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    old = supervisor.subworker_pids()
    importing, go = slow_import(supervisor, tmp_path)
    supervisor.send(signal.SIGHUP)
    until(importing.exists)
    template = int(importing.read_text())
    allowed = WARMING_NICE if can_come_back() else 0
    assert nice(template) == nice(supervisor.pid) + allowed
    go.touch()
    supervisor.wait_for("reloaded: generation 2")
    until(lambda: not set(old) & set(supervisor.subworker_pids()))
    pids = [template, *supervisor.subworker_pids()]
    assert [nice(pid) for pid in pids] == [nice(supervisor.pid)] * 3


def nice(pid: int) -> int:
    return os.getpriority(os.PRIO_PROCESS, pid)


def test_a_stop_does_not_wait_for_a_reload(
    supervisor: Supervisor, connection: Connection, tmp_path: Path
) -> None:
    job, go_on = running_job(connection, tmp_path)
    pids = supervisor.subworker_pids()
    importing, _ = slow_import(supervisor, tmp_path)
    supervisor.send(signal.SIGHUP)
    until(importing.exists)
    template = int(importing.read_text())
    supervisor.send(signal.SIGTERM)
    supervisor.wait_for("stopping")
    go_on.touch()
    assert supervisor.stop() == 0
    assert state(connection, job) == "succeeded"
    assert not any(alive(pid) for pid in [*pids, template])


def test_a_reload_that_ends_during_a_stop_starts_nothing(
    supervisor: Supervisor, connection: Connection, tmp_path: Path
) -> None:
    """New subworkers would never be told to end: the stop would take all of its grace time."""
    job, go_on = running_job(connection, tmp_path)
    importing, go = slow_import(supervisor, tmp_path)
    supervisor.send(signal.SIGHUP)
    until(importing.exists)
    supervisor.send(signal.SIGTERM)
    supervisor.wait_for("stopping")
    go.touch()
    supervisor.wait_for("not reloaded")
    go_on.touch()
    assert supervisor.stop() == 0
    assert state(connection, job) == "succeeded"


def test_a_reload_that_comes_during_a_stop_is_refused(
    supervisor: Supervisor, connection: Connection, tmp_path: Path
) -> None:
    job, go_on = running_job(connection, tmp_path)
    supervisor.send(signal.SIGTERM)
    supervisor.wait_for("stopping")
    supervisor.send(signal.SIGHUP)
    supervisor.wait_for("SIGHUP")
    assert supervisor.ask("reload") == {"ok": False, "error": "the supervisor is stopping"}
    go_on.touch()
    assert supervisor.stop() == 0
    assert state(connection, job) == "succeeded"
    assert "reloaded" not in supervisor.log


def slow_import(supervisor: Supervisor, folder: Path) -> tuple[Path, Path]:
    """Makes the app's import wait; returns the file that tells that it has begun (and who imports
    it), and the file that it waits for."""
    importing, go = folder / "importing", folder / "imported"
    tasks = supervisor.folder / "tasks.py"
    tasks.write_text(
        f"{tasks.read_text()}\n"
        f"(aside := Path({str(importing)!r} + '.new')).write_text(str(os.getpid()))\n"
        f"aside.rename({str(importing)!r})\n"
        f"while not Path({str(go)!r}).exists():\n"
        f"    time.sleep(0.005)\n"
    )
    return importing, go


def test_the_settings_are_read_again(
    make_supervisor: Callable[..., Supervisor], connection: Connection
) -> None:
    supervisor = make_supervisor()
    settings = supervisor.folder / "wsup.toml"
    settings.write_text("subworkers = 1\n")
    supervisor.start()
    unheard = connection.execute("SELECT wsup.enqueue('noop', queue => 'new')").fetchone()
    assert unheard is not None
    settings.write_text('subworkers = 3\nqueues = ["default", "new"]\n')
    assert supervisor.ask("reload")["ok"]
    assert len(supervisor.status()["subworkers"]) >= 3
    assert finished(connection, int(unheard[0])) == ["succeeded"]
    until(lambda: len(supervisor.subworker_pids()) == 3)
    settings.write_text("subworker = 2\n")
    reply = supervisor.ask("reload")
    assert not reply["ok"]
    assert "subworker" in reply["error"]
    assert len(supervisor.subworker_pids()) == 3
    assert finished(connection, enqueue(connection, "noop")) == ["succeeded"]


def test_fewer_subworkers_and_queues(
    make_supervisor: Callable[..., Supervisor], connection: Connection, tmp_path: Path
) -> None:
    supervisor = make_supervisor()
    settings = supervisor.folder / "wsup.toml"
    settings.write_text('subworkers = 3\nqueues = ["default", "old"]\n')
    supervisor.start()
    started, go = tmp_path / "started", tmp_path / "go"
    running = [
        in_queue(connection, queue, "wait_for_file", path=str(go), started=str(started))
        for queue in ("default", "old", "old")
    ]
    until(lambda: len(runs(started)) == 3)
    settings.write_text('subworkers = 1\nqueues = ["default"]\n')
    assert supervisor.ask("reload")["ok"]
    unheard = in_queue(connection, "old", "noop")
    assert finished(connection, in_queue(connection, "default", "noop")) == ["succeeded"]
    assert state(connection, unheard) == "ready"
    assert [state(connection, job) for job in running] == ["running"] * 3
    go.touch()
    assert finished(connection, *running) == ["succeeded"] * 3
    until(lambda: len(supervisor.subworker_pids()) == 1)
    assert runs(started) == Counter(running)
    settings.write_text('subworkers = 1\nqueues = ["default", "old"]\n')
    assert supervisor.ask("reload")["ok"]
    assert finished(connection, unheard) == ["succeeded"]


def in_queue(connection: Connection, queue: str, task: str, **args: object) -> int:
    row = connection.execute(
        "SELECT wsup.enqueue(%s, %s::jsonb, queue => %s)", [task, json.dumps(args), queue]
    ).fetchone()
    assert row is not None
    return int(row[0])
