"""Dead rows that vacuum can't remove: the supervisor has writers move on, and clears the lane."""

from collections.abc import Callable
from typing import Any

import psycopg
from running import Supervisor, enqueue, finished, until

from wsup.supervisor.lanes import TOO_MANY_DEAD

Connection = psycopg.Connection[Any]


def value(connection: Connection, query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def test_a_pinned_horizon_does_not_fill_the_lanes(
    make_supervisor: Callable[..., Supervisor], connection: Connection, database: str
) -> None:
    make_supervisor("--subworkers", "1", "--poll", "1").start()
    with psycopg.connect(database) as analyst:
        analyst.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        analyst.execute("SELECT count(*) FROM wsup.outcome")
        connection.execute(
            "INSERT INTO wsup.job (task, queue) SELECT 'noop', 'nobody'"
            "  FROM generate_series(1, %s)",
            [TOO_MANY_DEAD + 1000],
        )
        connection.execute("DELETE FROM wsup.ready")
        assert value(connection, "SELECT pg_relation_size('wsup.ready_0')") > 0
        until(lambda: value(connection, "SELECT wsup.current_lane()") == 1, "writers move on")
        until(
            lambda: value(connection, "SELECT pg_relation_size('wsup.ready_0')") == 0,
            "the closed lane is cleared",
        )
        assert finished(connection, enqueue(connection, "noop")) == ["succeeded"]
