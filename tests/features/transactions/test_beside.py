"""What a job has beside its end comes along when its task ends it: its notes, and its children."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg
import pytest
from road import fill, pull, succeeded, with_source
from running import Supervisor, enqueue, result

from wsup import App
from wsup.sql.answers import Row, Turn
from wsup.sql.notes import Note
from wsup.sql.source import PostgresSource
from wsup.subworkers.lines import as_line

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]

KINDS = [("pay", "sync"), ("pay", "both"), ("pay_async", "both")]


def take(database: str, *rows: Row, ends: bool = True) -> Turn:
    """A turn with a note of each of these jobs, and its end."""

    async def work(source: PostgresSource) -> Turn:
        entries = [succeeded(row) for row in rows] if ends else []
        return await source.turn(entries, None, notes=[note(row) for row in rows])

    return with_source(database, work)


def note(row: Row) -> Note:
    line = as_line("stdout", None, f"of {row[1]}")
    return Note(*row[:3], piece=1, fraction=0.5, lines=[line])


@pytest.fixture
def known(connection: Connection) -> None:
    """Supervisor 1 is registered."""
    connection.execute(
        "INSERT INTO wsup.supervisor (host, pid, version, queues, subworkers, lease)"
        " VALUES ('here', 1, '', '{}', 1, 60)"
    )


def finish(connection: Connection, row: Row) -> None:
    connection.execute("SELECT wsup.finish(%s, %s, 0, 1.0, '1')", row[:2])


def status(connection: Connection, job: int) -> str:
    return str((connection.execute("SELECT wsup.status(%s)", [job]).fetchone() or [""])[0])


def child_of(connection: Connection, *parents: int, task: str = "noop") -> int:
    row = connection.execute("SELECT wsup.enqueue(%s, after => %s)", [task, list(parents)])
    return int((row.fetchone() or [0])[0])


@pytest.mark.parametrize(("task", "kind"), KINDS)
def test_what_it_says_is_kept_also_after_its_end(
    task: str, kind: str, make_supervisor: MakeSupervisor, connection: Connection, database: str
) -> None:
    host = make_supervisor("--subworkers", "1", app=f"receipts:{kind}").start()
    jobs = [enqueue(connection, task, amount=n) for n in range(10)]
    assert [result(connection, job) for job in jobs] == list(range(10))
    host.stop()  # takes the last notes along
    with closing(App(database)) as app:
        for job in map(app.job, jobs):
            lines = [line.text for line in job.logs()]
            assert [x for x in lines if "program" not in x] == ["before", "inside", "after"]
            assert len(lines) == 3 + (kind == "sync")
            progress = job.progress()
            assert progress is not None
            assert (progress.fraction, progress.message) == (1, "paid")
    kept = connection.execute("SELECT job FROM wsup.checkpoint WHERE value::text = '\"all\"'")
    assert sorted(row[0] for row in kept) == jobs


def test_its_children_are_released(make_supervisor: MakeSupervisor, connection: Connection) -> None:
    parents = [enqueue(connection, "pay", amount=n) for n in (3, 4)]
    child = child_of(connection, *parents, task="thank")
    assert status(connection, child) == "blocked"
    make_supervisor("--subworkers", "1", app="receipts:sync").start()
    assert result(connection, child) == [3, 4]


@pytest.mark.usefixtures("known")
def test_nothing_is_taken_of_a_locked_claim(database: str, connection: Connection) -> None:
    """Neither a note nor an end, which would leave it behind; and no child hears of it."""
    jobs = fill(connection, 4)
    children = [child_of(connection, job) for job in jobs]
    (first,) = pull(connection, 1)
    rest = pull(connection, 3)
    with psycopg.connect(database) as other:
        finish(other, rest[0])
        turn = take(database, first, *rest[1:])
        assert [entry.job for entry in turn.deferred] == jobs[2:]
        assert [late.job for late in turn.deferred_notes] == jobs[2:]
        assert turn.refused == 0
        assert [status(connection, child) for child in children] == ["ready"] + ["blocked"] * 3
        logged = connection.execute("SELECT job FROM wsup.log UNION SELECT job FROM wsup.progress")
        assert logged.fetchall() == [(jobs[0],)]
    turn = take(database, *rest[1:])
    assert (turn.refused, turn.deferred, turn.deferred_notes) == (0, [], [])
    assert connection.execute("SELECT DISTINCT job FROM wsup.log").rowcount == 3
    assert [status(connection, child) for child in children] == ["ready"] * 4


@pytest.mark.usefixtures("known")
def test_an_end_waits_for_the_notes_of_a_claim_that_was_locked(
    database: str, connection: Connection
) -> None:
    """By the time of the ends, whoever has locked it may be gone."""
    fill(connection, 2)
    rows = pull(connection, 2)
    with psycopg.connect(database) as turn, psycopg.connect(database) as other:
        finish(other, rows[0])
        said = note(rows[1])
        locked = turn.execute(
            "SELECT locked FROM wsup.take_notes(1, %s, %s, '{1}', '{1}', '{0.5}', '{}', '{NULL}',"
            " '{NULL}')",
            [[said.claim], [said.job]],
        ).fetchone()
        assert locked == ([said.claim],)
        other.commit()
        settled = turn.execute(
            "SELECT refused, locked FROM wsup.settle(1, %s, %s, '{1}', '{1}', '{1}', '{0}', '{1}',"
            " '{NULL}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
            [[said.claim], [said.job]],
        ).fetchone()
        assert settled == (0, [said.claim])
    assert take(database, rows[1]).refused == 0


@pytest.mark.usefixtures("known")
def test_notes_that_come_after_the_end(database: str, connection: Connection) -> None:
    """Those of this very attempt are taken, once; whatever else is said of a job that is over is
    not."""
    fill(connection, 2)
    rows = pull(connection, 2)
    with psycopg.connect(database) as other:
        finish(other, rows[0])
    for _ in range(2):
        take(database, rows[0], ends=False)
    assert connection.execute("SELECT job FROM wsup.log").fetchall() == [(rows[0][1],)]
    connection.execute("DELETE FROM wsup.log; UPDATE wsup.outcome SET attempt = 2")
    take(database, rows[0], ends=False)
    connection.execute("UPDATE wsup.outcome SET attempt = 1, supervisor = 2")
    take(database, rows[0], ends=False)
    connection.execute("UPDATE wsup.outcome SET supervisor = 1, state = 'failed'")
    take(database, rows[0], ends=False)
    assert connection.execute("SELECT FROM wsup.log").rowcount == 0
