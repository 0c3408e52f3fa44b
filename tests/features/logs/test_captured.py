"""What jobs print and log is found with the job that has done it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from running import Supervisor, enqueue, finished, result, until

from wsup import App

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]
Lines = Callable[[int], list[tuple[str, str | None, str]]]

TALK = [("talk", "sync"), ("talk", "both"), ("talk_async", "both")]


@pytest.fixture
def app(database: str) -> App:
    return App(database)


@pytest.fixture
def lines(app: App) -> Lines:
    """What was captured of a job: source, level and text of each line."""
    return lambda job: [(line.source, line.level, line.text) for line in app.job(job).logs()]


def said(name: str) -> list[tuple[str, str | None, str]]:
    """What `talking.say` is captured as; of a traceback and a warning, the first line."""
    return [
        ("stdout", None, f"{name} prints"),
        ("stderr", None, f"{name} writes in two parts"),
        ("shop.orders", "DEBUG", f"{name} logs"),
        ("shop.orders", "ERROR", "caught"),
        ("py.warnings", "WARNING", "UserWarning: it is late"),
        ("stdout", None, "bytes of \\xff"),
        ("stdout", None, "bar 2 %no end"),
    ]


def first_lines(found: list[tuple[str, str | None, str]]) -> list[tuple[str, str | None, str]]:
    return [
        (source, level, re.sub(r"^\S+talking.py:\d+: ", "", text.splitlines()[0]))
        for source, level, text in found
    ]


@pytest.mark.parametrize(("task", "kind"), TALK)
def test_every_job_has_its_own_lines(
    task: str, kind: str, make_supervisor: MakeSupervisor, connection: Connection, lines: Lines
) -> None:
    """Many, one after the other or at once; all of them are shown in the log, too."""
    host = make_supervisor("--subworkers", "1", app=f"talking:{kind}").start()
    jobs = {enqueue(connection, task, name=f"n{i}"): f"n{i}" for i in range(20)}
    finished(connection, *jobs)
    for job, name in jobs.items():
        found = lines(job)
        assert first_lines(found) == said(name)
        assert "ValueError: " + name in found[3][2]
        assert host.log.count(f"{name} prints\n") == 1
        assert host.log.count(f"{name} writes in two parts\n") == 1
    assert host.log.count("UserWarning: it is late\n") == len(jobs)


def test_a_task_may_capture_less_or_nothing(
    make_supervisor: MakeSupervisor, connection: Connection, lines: Lines
) -> None:
    host = make_supervisor("--subworkers", "1", app="talking:sync").start()
    errors, nothing = (enqueue(connection, t, name="n") for t in ("talk_of_errors", "silent"))
    finished(connection, errors, nothing)
    levels = [level for _, level, _ in lines(errors)]
    assert levels == [None, None, "ERROR", None, None]
    assert lines(nothing) == []
    assert host.log.count("n prints\n") == 2


def test_no_bytes_no_capture(
    make_supervisor: MakeSupervisor, connection: Connection, lines: Lines
) -> None:
    host = make_supervisor("--subworkers", "1", "--log-bytes", "0", app="talking:sync").start()
    job = enqueue(connection, "in_c", name="n")
    finished(connection, job)
    assert lines(job) == []
    host.wait_for("from C")


@pytest.mark.parametrize(("task", "kind"), [("in_threads", "sync"), ("in_threads_async", "both")])
def test_threads_of_a_job(
    task: str, kind: str, make_supervisor: MakeSupervisor, connection: Connection, lines: Lines
) -> None:
    make_supervisor("--subworkers", "1", app=f"talking:{kind}").start()
    jobs = {enqueue(connection, task, name=f"n{i}"): f"n{i}" for i in range(10)}
    finished(connection, *jobs)
    for job, name in jobs.items():
        assert lines(job) == [("stdout", None, f"{name} in a thread")]


@pytest.mark.parametrize(("task", "kind"), [("wait_in_thread", "sync"), ("wait_async", "both")])
def test_lines_are_seen_while_the_job_runs(
    task: str,
    kind: str,
    make_supervisor: MakeSupervisor,
    connection: Connection,
    lines: Lines,
    tmp_path: Path,
) -> None:
    """Even if the main thread only waits, and nothing more is written."""
    make_supervisor("--subworkers", "1", app=f"talking:{kind}").start()
    job = enqueue(connection, task, path=str(tmp_path / "go"))
    assert until(lambda: lines(job)) == [("stdout", None, "it has begun")]
    (tmp_path / "go").touch()
    assert finished(connection, job) == ["succeeded"]


def test_what_c_code_and_programs_write(
    make_supervisor: MakeSupervisor, connection: Connection, lines: Lines
) -> None:
    host = make_supervisor("--subworkers", "1", app="talking:sync").start()
    jobs = {enqueue(connection, "in_c", name=f"n{i}"): f"n{i}" for i in range(10)}
    finished(connection, *jobs)
    for job, name in jobs.items():
        assert lines(job) == [
            ("stdout", None, "before"),
            ("stdout", None, f"{name} from C\\xff"),
            ("stdout", None, "between"),
            ("stdout", None, "of a program"),
            ("stderr", None, "and on stderr"),
        ]
        assert host.log.count(f"{name} from C") == 1


def test_the_last_words_of_a_killed_process(
    make_supervisor: MakeSupervisor, connection: Connection, lines: Lines
) -> None:
    host = make_supervisor("--subworkers", "1", app="talking:sync").start()
    job = enqueue(connection, "crash")
    assert finished(connection, job) == ["failed"]
    expected = [("stdout", None, "printed"), ("stderr", None, "C code has given up")]
    assert lines(job) == expected
    host.wait_for("C code has given up")


def test_a_forked_process(
    make_supervisor: MakeSupervisor, connection: Connection, lines: Lines
) -> None:
    make_supervisor("--subworkers", "1", app="talking:sync").start()
    job = enqueue(connection, "fork")
    assert finished(connection, job) == ["succeeded"]
    texts = [text for _, _, text in lines(job)]
    assert texts.count("from the parent") == texts.count("from the child") == 300


def test_text_that_cannot_be_stored_is_made_readable(
    make_supervisor: MakeSupervisor, connection: Connection, lines: Lines
) -> None:
    make_supervisor("--subworkers", "1", app="talking:sync").start()
    job = enqueue(connection, "odd")
    assert finished(connection, job) == ["succeeded"]
    assert lines(job) == [
        ("stdout", None, "nul \\0, lone \\ud800, escape \x1b[31m, \u2028"),
        ("shop.orders", "WARNING", "also here: \\0 \\udfff"),
    ]


def test_much_is_cut_off(
    make_supervisor: MakeSupervisor, connection: Connection, lines: Lines
) -> None:
    host = make_supervisor("--subworkers", "1", "--log-bytes", "10000", app="talking:sync").start()
    job = enqueue(connection, "endless", lines=2000, size=100)
    assert finished(connection, job) == ["succeeded"]
    found = lines(job)
    assert 50 < len(found) < 100
    assert found[-1] == (
        "wsup", None, "[… of this attempt's output, what is beyond 10,000 bytes is left out]",
    )  # fmt: skip
    assert "1999 xxx" in host.log


def test_more_than_a_ring_and_a_turn_hold(
    make_supervisor: MakeSupervisor, connection: Connection, lines: Lines
) -> None:
    sizes = ("--max-args", "65536", "--ring-bytes", "65536", "--batch-bytes", "65536")
    flags = ("--log-bytes", "1000000", *sizes)
    make_supervisor("--subworkers", "1", *flags, app="talking:sync").start()
    jobs = [enqueue(connection, "endless", lines=100, size=5000) for _ in range(3)]
    assert finished(connection, *jobs) == ["succeeded"] * 3
    for job in jobs:
        assert [text.split()[0] for _, _, text in lines(job)] == [str(n) for n in range(100)]


def test_no_end_overtakes_what_its_job_has_written(
    make_supervisor: MakeSupervisor, connection: Connection, lines: Lines
) -> None:
    """Jobs that end in one turn, and have written as much as several may carry."""
    flags = ("--max-args", "65536", "--batch-bytes", "65536")
    make_supervisor("--subworkers", "1", *flags, app="talking:both").start()
    query = """INSERT INTO wsup.job (task, args)
               SELECT 'large_async', '{"size": 40000}' FROM generate_series(1, 40) RETURNING id"""
    jobs = [row[0] for row in connection.execute(query)]
    finished(connection, *jobs)
    assert [lines(job) for job in jobs] == [[("stdout", None, "x" * 40_000)]] * 40


def test_each_attempt_has_its_lines(
    make_supervisor: MakeSupervisor, connection: Connection, app: App
) -> None:
    make_supervisor("--subworkers", "1", app="talking:sync").start()
    job = app.job(enqueue(connection, "fail"))
    finished(connection, job.id)
    assert [(line.attempt, line.text) for line in job.logs()] == [
        (1, "before it fails"),
        (2, "before it fails"),
    ]
    assert [line.attempt for line in job.logs(attempt=2)] == [2]
    rows = connection.execute("SELECT attempt, line FROM wsup.logs(%s, 1)", [job.id]).fetchall()
    assert rows == [(1, "before it fails")]


@pytest.mark.parametrize("kind", ["sync", "both"])
def test_destructors_print_at_any_time(
    kind: str, make_supervisor: MakeSupervisor, connection: Connection, lines: Lines
) -> None:
    make_supervisor("--subworkers", "1", "--log-bytes", "9000000", app=f"talking:{kind}").start()
    job = enqueue(connection, "garbage", n=5_000)
    assert result(connection, job) is None
    text = "".join(text for _, _, text in lines(job))
    assert text.count("x" * 50) == 5_000
    assert text.count("a destructor prints") > 4_000
