"""Jobs that were due long ago, gone but not removable, while somebody holds an old snapshot."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]

#: How long a whole look has to take at least, in ms: twice what the database thinks worth sparing.
LONG = 10.0
#: So many at a time, until it does.
GONE = 100_000
PUT = """INSERT INTO wsup.waiting (job, due_at, priority, attempt, queue)
         SELECT i, now() - %s * interval '1 minute', 0, 1, 'default'
           FROM generate_series(%s::integer, %s) AS i"""


def one(connection: Connection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


@contextmanager
def many_gone(database: str, connection: Connection) -> Iterator[None]:
    with psycopg.connect(database) as analyst:
        analyst.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        analyst.execute("SELECT count(*) FROM wsup.outcome")
        while whole_look(connection) < LONG:
            connection.execute(PUT, [2, 1, GONE])
            connection.execute("DELETE FROM wsup.waiting")
        yield


def whole_look(connection: Connection) -> float:
    """The shortest of three, in ms."""
    with connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = off")
        query = """EXPLAIN (ANALYZE, TIMING off, FORMAT JSON)
                   SELECT w.due_at FROM wsup.waiting w ORDER BY w.due_at LIMIT 1"""
        return min(float(one(connection, query)[0]["Execution Time"]) for _ in range(3))


def promote(connection: Connection) -> tuple[int, float | None]:
    """How many, and in how many seconds to look again."""
    row = connection.execute("SELECT promoted, next_due FROM wsup.promote(100)").fetchone()
    assert row is not None
    return row[0], row[1]


def pages(connection: Connection) -> int:
    """Those that are touched by a look at what is due."""
    query = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT wsup.promote(100)"
    plan = one(connection, query)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def test_they_are_waded_through_now_and_then_only(database: str, connection: Connection) -> None:
    with many_gone(database, connection):
        whole = pages(connection)
        assert pages(connection) < whole / 100
        connection.execute(PUT, [0, 1, 10])
        assert promote(connection)[0] == 10
        assert pages(connection) < whole / 100


def test_what_comes_in_before_the_last_look_is_found_by_the_next_whole_one(
    database: str, connection: Connection
) -> None:
    with many_gone(database, connection):
        assert promote(connection)[0] == 0
        connection.execute(PUT, [1, 1, 1])  # as if its transaction had been open for a minute
        promoted, again = promote(connection)
        assert promoted == 0
        assert again is not None
        assert 0 < again <= 60
        connection.execute(
            "SELECT set_config('wsup.due', ARRAY[(c.due)[1], 0]::text, false)"
            " FROM (SELECT current_setting('wsup.due')::float8[] AS due) c"
        )
        assert promote(connection)[0] == 1


def test_once_they_are_gone_every_look_is_a_whole_one(
    database: str, connection: Connection
) -> None:
    with many_gone(database, connection):
        promote(connection)
        assert one(connection, "SELECT current_setting('wsup.due')") != ""
    connection.execute("VACUUM wsup.waiting")
    connection.execute("SELECT set_config('wsup.due', '{0,0}', false)")
    connection.execute(PUT, [1, 1, 1])
    assert promote(connection)[0] == 1
    assert one(connection, "SELECT current_setting('wsup.due')") == ""
