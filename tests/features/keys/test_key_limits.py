"""How many jobs of a key may run: as they say themselves, and as somebody has set."""

from typing import Any

import psycopg
import pytest
from joined import fill, ids, taken
from psycopg.errors import CheckViolation, InvalidParameterValue
from road import settle, succeeded

from wsup import App
from wsup.errors import TaskError
from wsup.sql.answers import Row

Connection = psycopg.Connection[Any]


def test_limits_that_contradict_each_other(database: str, connection: Connection) -> None:
    with pytest.raises(CheckViolation):
        fill(connection, 1, limit=0)
    with pytest.raises(InvalidParameterValue, match="key 'b': key_limit 1 contradicts"):
        connection.execute(
            "INSERT INTO wsup.job (task, key, key_limit) VALUES ('t', 'b', 1), ('t', 'b', 2)"
        )
    (job,) = fill(connection, 1, limit=2)
    rows: list[Row] = []
    for _ in range(2):  # while it waits, and while it runs
        with pytest.raises(
            InvalidParameterValue, match="1 contradicts its other jobs, which have 2"
        ):
            fill(connection, 1)
        rows = taken(connection) or rows
    settle(database, succeeded(rows[0]))
    assert rows[0][1] == job
    fill(connection, 1)


def test_a_limit_set_by_hand_goes_before(app: App, connection: Connection) -> None:
    fill(connection, 3)
    app.set_key_limit("a", 2)
    fill(connection, 1, limit=9)
    assert len(taken(connection)) == 2
    with pytest.raises(TaskError, match="key_limit=0 won't do"):
        app.set_key_limit("a", 0)
    with pytest.raises(InvalidParameterValue, match="key_limit 0 of key 'a' is not"):
        connection.execute("SELECT wsup.set_key_limit('a', 0)")


def test_after_a_limit_is_lifted_no_turn_is_handed_on_until_there_is_room(
    database: str, app: App, connection: Connection
) -> None:
    first, second, third, *others = fill(connection, 5)
    app.set_key_limit("a", 3)
    rows = {row[1]: row for row in taken(connection)}
    assert list(rows) == [first, second, third]
    app.set_key_limit("a", None)
    for job in (first, second):
        settle(database, succeeded(rows[job]))
        assert taken(connection) == []
    settle(database, succeeded(rows[third]))
    assert ids(taken(connection)) == others[:1]
