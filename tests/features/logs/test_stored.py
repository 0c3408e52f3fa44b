"""Notes on their way into the database: behind the same fence as results, once, and never in their
way."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from road import failed, fill, pull, put_off, settle, succeeded, with_source
from roles import grant, roles_on

from wsup.sql.answers import Row
from wsup.sql.notes import Note
from wsup.sql.settlement import Entry
from wsup.sql.source import PostgresSource
from wsup.subworkers.lines import as_line

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def _roles(server: str) -> Iterator[None]:
    with roles_on(server):
        yield


def note(row: Row, piece: int = 1, *texts: str, **said: Any) -> Note:
    lines = [as_line("stdout", None, text) for text in texts]
    return Note(row[0], row[1], row[2], piece, lines=lines, **said)


def take(database: str, *notes: Note, entries: tuple[Entry, ...] = ()) -> int:
    """One turn with these; returns how many results were refused."""

    async def work(source: PostgresSource) -> int:
        return (await source.turn(entries, None, notes=notes)).refused

    return with_source(database, work)


def lines(connection: Connection) -> list[tuple[int, str]]:
    return connection.execute(
        "SELECT j.id, l.line FROM wsup.job j, wsup.logs(j.id) l ORDER BY j.id"
    ).fetchall()


def test_with_the_end_of_the_job(database: str, connection: Connection) -> None:
    fill(connection, 1)
    (row,) = pull(connection, 1)
    said = note(row, 1, "a line", fraction=0.5, message="half", checkpoint=b"[1]")
    assert take(database, said, entries=(succeeded(row),)) == 0
    assert lines(connection) == [(row[1], "a line")]
    rows = connection.execute(
        "SELECT fraction, message, value FROM wsup.progress JOIN wsup.checkpoint USING (job)"
    ).fetchall()
    assert rows == [(0.5, "half", [1])]


def test_nothing_is_taken_of_a_job_that_is_not_held(database: str, connection: Connection) -> None:
    """Settled, held by another one, or claimed anew."""
    fill(connection, 3)
    settled, again = pull(connection, 2)
    (other,) = pull(connection, 1, supervisor=2)
    settle(database, failed(settled))
    connection.execute("UPDATE wsup.claim SET id = id + 100 WHERE supervisor = 1")
    everything = {"fraction": 0.5, "checkpoint": b"1"}
    take(database, *(note(row, 1, "late", **everything) for row in (settled, again, other)))
    for table in ("log", "progress", "checkpoint"):
        assert connection.execute(f"SELECT FROM wsup.{table}").rowcount == 0


def test_sent_twice_it_is_there_once(database: str, connection: Connection) -> None:
    """The reply to a COMMIT was lost: the next turn brings it again, with what has come since."""
    fill(connection, 1)
    (row,) = pull(connection, 1)
    take(database, note(row, 1, "one", fraction=0.1, checkpoint=b"1"))
    take(
        database,
        note(row, 1, "one", fraction=0.1, checkpoint=b"1"),
        note(row, 2, "two", fraction=0.2, checkpoint=b"2"),
    )
    assert lines(connection) == [(row[1], "one"), (row[1], "two")]
    assert connection.execute("SELECT fraction FROM wsup.progress").fetchall() == [(0.2,)]
    assert connection.execute("SELECT value FROM wsup.checkpoint").fetchall() == [(2,)]


def test_one_that_cannot_be_stored_hurts_nobody(database: str, connection: Connection) -> None:
    fill(connection, 3)
    rows = pull(connection, 3)
    notes = [note(row, 1, f"of {row[1]}") for row in rows]
    notes[1].lines = [b"no JSON"]
    notes[2].checkpoint = b"["
    assert take(database, *notes, entries=tuple(map(succeeded, rows))) == 0
    assert lines(connection) == [(rows[0][1], f"of {rows[0][1]}")]
    assert connection.execute("SELECT FROM wsup.outcome WHERE state = 'succeeded'").rowcount == 3


def test_a_pull_brings_options_and_checkpoint(connection: Connection) -> None:
    jobs = fill(connection, 6)
    options = [None, "{}", ' { "retries": 3 }', '{"a": 1e400}', "[1]", None]
    for job, text in zip(jobs, options, strict=True):
        connection.execute("UPDATE wsup.job SET options = %s WHERE id = %s", [text, job])
    for job in jobs[:5]:
        connection.execute(
            "INSERT INTO wsup.checkpoint (job, attempt, value) VALUES (%s, 1, %s)",
            [job, '{"at": "\\u0000"}'],
        )
    rows = connection.execute(
        "SELECT options::text FROM wsup.pull(1, ARRAY['default'], 10) ORDER BY job"
    ).fetchall()
    kept = '"{\\"at\\": \\"\\\\u0000\\"}"'
    assert [row[0] for row in rows] == [
        f'{{"checkpoint" : {kept}}}',
        f'{{"checkpoint" : {kept}}}',
        f'{{"checkpoint":{kept}, "retries": 3 }}',
        f'{{"checkpoint":{kept},"a": 1e400}}',
        "[1]",
        None,
    ]


def test_it_goes_with_the_job(database: str, connection: Connection) -> None:
    fill(connection, 2)
    rows = pull(connection, 2)
    notes = [note(row, 1, "a line", fraction=0.5, checkpoint=b"1") for row in rows]
    take(database, *notes, entries=tuple(map(succeeded, rows)))
    connection.execute("SELECT wsup.forget(ARRAY[%s::bigint])", [rows[0][1]])
    for table in ("log", "progress", "checkpoint"):
        left = connection.execute(f"SELECT job FROM wsup.{table}").fetchall()  # noqa: S608
        assert left == [(rows[1][1],)]


@pytest.mark.usefixtures("_roles")
def test_who_runs_jobs_may_store_them(database: str, connection: Connection) -> None:
    jobs = fill(connection, 2)
    role = grant(database)["run"]
    with psycopg.connect(role, autocommit=True) as runner:
        for piece, row in enumerate(pull(runner, 2), 1):
            said = note(row, piece, "a line", fraction=0.5, checkpoint=b"1")
            take(role, said, entries=(put_off(row),))
        assert [row[6] for row in pull(runner, 2)] == [{"checkpoint": "1"}] * 2
    assert lines(connection) == [(job, "a line") for job in jobs]
