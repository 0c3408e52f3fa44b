"""What the jobs of one call say of themselves, and what they know."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg
import pytest
from running import Supervisor, enqueue, failures, finished, result

from wsup import App

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]

KINDS = [("stick", "sync"), ("stick", "both"), ("stick_async", "both")]


@pytest.mark.parametrize(("task", "kind"), KINDS)
@pytest.mark.parametrize("first", ["a", "die"])
def test_each_job_has_notes_of_its_own_and_all_lines_of_the_call(
    first: str,
    task: str,
    kind: str,
    make_supervisor: MakeSupervisor,
    connection: Connection,
    database: str,
) -> None:
    """Also if the process is killed right after that."""
    make_supervisor("--subworkers", "1", app=f"labels:{kind}").start()
    items = [first, "b", "c"]
    jobs = [enqueue(connection, task, items=item) for item in items]
    assert [result(connection, job) for job in jobs] == [[item] for item in items]
    times = 2 if first == "die" else 1
    with closing(App(database)) as app:
        for n, job in enumerate(jobs):
            assert len(failures(connection, job)) == times - 1
            lines = [(line.attempt, line.text) for line in app.job(job).logs()]
            assert lines == [(attempt, "3 labels") for attempt in range(1, times + 1)]
            progress = app.job(job).progress()
            assert progress is not None
            assert (progress.fraction, progress.message) == (pytest.approx(n / 3), items[n])


def test_each_job_knows_its_own_parents(
    make_supervisor: MakeSupervisor, connection: Connection
) -> None:
    parents = [enqueue(connection, "stick", items=item) for item in "abc"]
    jobs = [
        (connection.execute(query, [[job]]).fetchone() or [0])[0]
        for job in parents
        for query in ["""SELECT wsup.enqueue('labels.read', '{"items": ""}', after => %s)"""]
    ]
    make_supervisor("--subworkers", "1", app="labels:sync").start()
    assert [result(connection, job) for job in jobs] == [[["a"]], [["b"]], [["c"]]]


def test_many_lines_are_shared_out(
    make_supervisor: MakeSupervisor, connection: Connection, database: str
) -> None:
    """Of 64 KiB that would be kept of one job's, each of 3 gets a third."""
    make_supervisor("--subworkers", "1", app="labels:sync").start()
    jobs = [enqueue(connection, "labels.chatter", items=item) for item in "abc"]
    finished(connection, *jobs)
    with closing(App(database)) as app:
        for job in jobs:
            *lines, cut, last = [line.text for line in app.job(job).logs()]
            assert lines == [f"line {n}" for n in range(len(lines))]
            assert f"line {len(lines)}".startswith(cut)
            assert 300 < len(lines) < 700
            assert "left out" in last
