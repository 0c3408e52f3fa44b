"""Dead rows that vacuum can't remove: the supervisor has writers move on, and clears the lane."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from running import Supervisor, enqueue, finished, until

from wsup.supervisor.lanes import BOUNDS

Connection = psycopg.Connection[Any]


def value(connection: Connection, query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


FILL = {
    "ready": "INSERT INTO wsup.job (task, queue)"
    " SELECT 'noop', 'nobody' FROM generate_series(1, %s)",
    "blocked": "INSERT INTO wsup.blocked (job, rank, attempt, key_limit, lane, key, queue)"
    " SELECT n, 0, 1, 1, 0, 'a', 'nobody' FROM generate_series(1, %s) n",
    "key_holder": "INSERT INTO wsup.key_holder (job, key_limit, lane, key)"
    " SELECT n, 1, 0, 'a' FROM generate_series(1, %s) n",
}


@pytest.mark.parametrize("table", FILL)
def test_a_pinned_horizon_does_not_fill_the_lanes(
    table: str, make_supervisor: Callable[..., Supervisor], connection: Connection, database: str
) -> None:
    make_supervisor("--subworkers", "1", "--poll", "1").start()
    with psycopg.connect(database) as analyst:
        analyst.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        analyst.execute("SELECT count(*) FROM wsup.outcome")
        connection.execute(FILL[table].encode(), [BOUNDS[table].too_many + 1000])
        connection.execute(SQL("DELETE FROM {}").format(Identifier("wsup", table)))
        size = f"SELECT pg_relation_size('wsup.{table}_0')"
        assert value(connection, size) > 0
        until(lambda: value(connection, "SELECT wsup.current_lane()") == 1, "writers move on")
        until(lambda: value(connection, size) == 0, "the closed lane is cleared")
        assert finished(connection, enqueue(connection, "noop")) == ["succeeded"]
