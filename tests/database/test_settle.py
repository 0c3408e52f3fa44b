"""The commit: every kind of result in one batch, each accepted only while its job is held."""

from typing import Any

import psycopg
import pytest
from road import (
    failed,
    fill,
    places,
    pull,
    put_off,
    settle,
    succeeded,
    with_source,
)

from wsup.sql.answers import Pull, Turn
from wsup.sql.settlement import CANCELLED, Over
from wsup.supervisor.source import Source

Connection = psycopg.Connection[Any]
pytestmark = pytest.mark.usefixtures("each_source")


def test_every_kind_goes_through_one_batch(database: str, connection: Connection) -> None:
    fill(connection, 8)
    rows = pull(connection, 8)
    cancelled = Over(rows[6][0], rows[6][1], 1, CANCELLED, 0.0, 0, None, "why")
    refused = settle(
        database,
        succeeded(rows[0]),
        succeeded(rows[1], b'{"a": 1}'),
        failed(rows[2]),
        failed(rows[3], retry_after=60),
        put_off(rows[4], delay=60),
        put_off(rows[5]),
        cancelled,
        failed(rows[7], retry_after=0),
    )
    assert refused == 0
    assert [places(connection, row[1]) for row in rows] == [
        ["succeeded"], ["succeeded"], ["failed"], ["waiting"], ["waiting"], ["ready"],
        ["cancelled"], ["ready"],
    ]  # fmt: skip
    attempts = connection.execute("SELECT job, attempt FROM wsup.waiting").fetchall()
    assert dict(attempts) == {rows[3][1]: 2, rows[4][1]: 1}
    attempts = connection.execute("SELECT job, attempt FROM wsup.ready").fetchall()
    assert dict(attempts) == {rows[5][1]: 1, rows[7][1]: 2}
    assert connection.execute("SELECT count(*) FROM wsup.claim").fetchone() == (0,)


def test_a_part_of_a_claim_leaves_the_rest(database: str, connection: Connection) -> None:
    fill(connection, 6)
    rows = pull(connection, 6)
    assert settle(database, *[succeeded(row) for row in rows[1:6:2]]) == 0
    assert [places(connection, row[1])[0] for row in rows] == ["claimed", "succeeded"] * 3
    assert settle(database, *[succeeded(row) for row in rows[0:6:2]]) == 0
    assert connection.execute("SELECT count(*) FROM wsup.claim").fetchone() == (0,)


def test_a_result_counts_once(database: str, connection: Connection) -> None:
    fill(connection, 2)
    rows = pull(connection, 2)
    assert settle(database, succeeded(rows[0], b"1")) == 0
    assert settle(database, succeeded(rows[0], b"2")) == 1
    assert settle(database, failed(rows[0])) == 1
    assert settle(database, put_off(rows[0])) == 1
    assert places(connection, rows[0][1]) == ["succeeded"]
    stored = connection.execute("SELECT result FROM wsup.outcome").fetchall()
    assert stored == [(1,)]
    assert connection.execute("SELECT count(*) FROM wsup.failure").fetchone() == (0,)


def test_a_result_is_refused_once_its_job_was_given_to_others(
    database: str, connection: Connection
) -> None:
    fill(connection, 1)
    (old,) = pull(connection, 1)
    connection.execute("SELECT wsup.rescue(1, 5)")
    (new,) = pull(connection, 1)
    assert (old[1], old[2]) == (new[1], new[2])  # the same attempt of the same job …
    assert settle(database, succeeded(old)) == 1  # … but another claim
    assert places(connection, new[1]) == ["claimed"]
    assert settle(database, succeeded(new)) == 0


def test_nobody_settles_what_another_supervisor_holds(
    database: str, connection: Connection
) -> None:
    fill(connection, 1)
    (theirs,) = pull(connection, 1, supervisor=2)
    assert settle(database, succeeded(theirs)) == 1
    assert places(connection, theirs[1]) == ["claimed"]


@pytest.mark.parametrize(
    "poison",
    [
        b'{"a": ',
        b"nonsense",
        b"\xff\xfe",
        b'"nul \x00 byte"',
        b'"\xed\xa0\x80"',  # a lone surrogate
        b"[" * 100_000 + b"]" * 100_000,  # too deep for the server's stack
    ],
)
def test_a_poisonous_result_hurts_only_its_own_job(
    database: str, connection: Connection, poison: bytes
) -> None:
    fill(connection, 9)
    rows = pull(connection, 9)
    fill(connection, 1)
    entries = [succeeded(row, poison if i == 4 else b"0") for i, row in enumerate(rows)]

    async def work(source: Source) -> Turn:
        return await source.turn(entries, Pull(["default"], 5))

    turn = with_source(database, work)
    assert [entry.job for entry in turn.culprits] == [rows[4][1]]
    assert len(turn.rows) == 1  # the pull is not hurt either
    states = [places(connection, row[1]) for row in rows]
    assert states == [["succeeded"]] * 4 + [["failed"]] + [["succeeded"]] * 4
    failure = connection.execute("SELECT job, type FROM wsup.failure").fetchall()
    assert failure == [(rows[4][1], "ResultRefused")]


def test_numbers_that_jsonb_refuses_are_kept(database: str, connection: Connection) -> None:
    """Results are json, not jsonb: 1e200000 and \\u0000 are stored as they are."""
    fill(connection, 2)
    rows = pull(connection, 2)
    assert settle(database, succeeded(rows[0], b"1e200000"), succeeded(rows[1], b'"\\u0000"')) == 0
    stored = connection.execute("SELECT result::text FROM wsup.outcome ORDER BY job").fetchall()
    assert stored == [("1e200000",), ('"\\u0000"',)]
