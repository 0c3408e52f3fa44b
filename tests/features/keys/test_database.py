"""Lines and turns, by the statements alone: who comes between, and what must not be lost."""

from typing import Any

import psycopg
import pytest
from joined import ALL, fill, ids, taken
from psycopg.errors import InvalidParameterValue
from road import failed, places, pull, put_off, settle, succeeded, with_source

from wsup import App
from wsup.errors import TaskError
from wsup.sql.answers import Pull

Connection = psycopg.Connection[Any]


def marks(connection: Connection) -> list[str]:
    query = "SELECT key, keys FROM wsup.ready WHERE job < 0"
    return sorted(key for one, many in connection.execute(query) for key in many or [one])


def test_only_those_who_have_a_turn_are_ready(connection: Connection) -> None:
    one, two, three = fill(connection, 3)
    others = fill(connection, 3, "b", 2)
    assert connection.execute("SELECT FROM wsup.ready WHERE job > 0").rowcount == 0
    assert ids(taken(connection)) == [one, *others[:2]]
    assert [places(connection, job) for job in (one, two, three, others[2])] == [
        ["claimed"], ["blocked"], ["blocked"], ["blocked"],
    ]  # fmt: skip
    assert marks(connection) == []
    assert taken(connection) == []


def test_many_keys_are_marked_by_a_few_rows_and_all_are_served(
    database: str, connection: Connection
) -> None:
    for _ in range(3):
        connection.execute(
            "INSERT INTO wsup.job (task, key) SELECT 'noop', 'key ' || n"
            "  FROM generate_series(1, 2000) n"
        )
    rows = connection.execute("SELECT FROM wsup.ready WHERE job < 0").rowcount
    assert rows <= 3 * (2000 / 64 + 1)
    with psycopg.connect(database) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended('key 7', 0))")
        turns = [len(taken(connection, 5000)) for _ in range(5)]
        assert sum(turns) == 1999
        assert "key 7" in marks(connection)
    assert len(taken(connection)) == 1
    assert marks(connection) == []


def test_a_turn_passes_on_in_the_transaction_that_ends_it(
    database: str, connection: Connection
) -> None:
    jobs = fill(connection, 3)
    for job in jobs:
        (row,) = pull(connection, 10, ALL)
        assert row[1] == job
        settle(database, succeeded(row))
        assert marks(connection) == []
    assert connection.execute("SELECT FROM wsup.key_holder").rowcount == 0


def test_who_is_put_off_passes_it_on_and_who_is_given_back_keeps_it(
    database: str, connection: Connection
) -> None:
    first, second = fill(connection, 2)
    (row,) = taken(connection)
    settle(database, put_off(row))
    (row,) = taken(connection)
    assert row[1] == first
    settle(database, failed(row, 0.0))
    (other,) = taken(connection)
    assert other[1] == second
    connection.execute("SELECT wsup.promote(10)")
    assert taken(connection) == []
    assert places(connection, first) == ["blocked"]
    settle(database, succeeded(other))
    (again,) = taken(connection)
    assert again[1:3] == (first, 2)


def test_a_result_that_can_not_be_stored_passes_its_turn_on(
    database: str, connection: Connection
) -> None:
    first, second = fill(connection, 2)
    (row,) = taken(connection)
    poison = succeeded(row, b"{")
    turn = with_source(database, lambda source: source.turn([poison], Pull(["default"], 10)))
    assert (turn.culprits, turn.passed, ids(turn.rows)) == ([poison], 1, [second])
    assert places(connection, first) == ["failed"]


def test_a_late_result_takes_nobodys_turn(database: str, connection: Connection) -> None:
    fill(connection, 2)
    (row,) = taken(connection)
    connection.execute("SELECT wsup.rescue(1, 5)")
    (again,) = taken(connection, supervisor=2)
    assert again[1] == row[1]
    assert settle(database, succeeded(row)) == 1
    assert taken(connection) == []


def test_a_job_lost_too_often_passes_its_turn_on(connection: Connection) -> None:
    first, second = fill(connection, 2)
    taken(connection)
    connection.execute("SELECT wsup.rescue(1, 0)")
    assert places(connection, first) == ["failed"]
    assert ids(taken(connection)) == [second]


def test_one_to_be_cancelled_that_was_given_back_passes_its_turn_on(
    database: str, connection: Connection
) -> None:
    first, second = fill(connection, 2)
    (row,) = taken(connection)
    connection.execute("SELECT wsup.cancel(%s)", [[first]])
    settle(database, put_off(row))
    assert ids(taken(connection)) == [second]
    assert places(connection, first) == ["cancelled"]


def test_a_job_that_is_run_again_joins_the_line(database: str, connection: Connection) -> None:
    first, _ = fill(connection, 2)
    (row,) = taken(connection)
    settle(database, failed(row))
    (other,) = taken(connection)
    query = "SELECT state FROM wsup.retry(%s)"
    assert connection.execute(query, [[first]]).fetchone() == ("blocked",)
    assert taken(connection) == []
    settle(database, succeeded(other))
    assert [row[1:3] for row in taken(connection)] == [(first, 2)]


def test_more_keys_than_may_be_locked_at_a_time(database: str, connection: Connection) -> None:
    connection.execute(
        "INSERT INTO wsup.job (task, key) SELECT 'noop', 'key ' || i % 5000"
        "  FROM generate_series(0, 9999) i"
    )
    ended = 0
    while rows := taken(connection, 10_000):
        settle(database, *(succeeded(row) for row in rows))
        ended += len(rows)
    assert ended == 10_000


# who comes between ------------------------------------------------------------------------------


def test_an_open_transaction_with_a_job_of_the_key_holds_nobody_up(
    database: str, connection: Connection
) -> None:
    with psycopg.connect(database) as caller:
        (late,) = fill(caller, 1)
        jobs = fill(connection, 2)
        for job in jobs:
            (row,) = taken(connection)
            assert row[1] == job
            settle(database, succeeded(row))
    assert ids(taken(connection)) == [late]


def test_a_job_that_comes_while_the_last_one_of_its_line_is_ending(
    database: str, connection: Connection
) -> None:
    """Whoever looks at the new one's mark still sees the turn taken, and who ends that can't see
    the new one: the mark must stay."""
    fill(connection, 1)
    (row,) = taken(connection)
    with psycopg.connect(database) as other:
        other.execute("DELETE FROM wsup.claim")
        other.execute("SELECT wsup.end_turns(%s)", [[row[1]]])
        (new,) = fill(connection, 1)
        assert taken(connection) == []
    assert ids(taken(connection)) == [new]


def test_a_line_that_another_one_has_in_hand_is_marked(
    database: str, connection: Connection
) -> None:
    fill(connection, 1)
    (row,) = taken(connection)
    with psycopg.connect(database) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended('a', 0))")
        settle(database, succeeded(row))
        assert marks(connection) == ["a"]
        assert taken(connection) == []
        assert marks(connection) == ["a"]
    assert taken(connection) == []
    assert marks(connection) == []


def test_who_undoes_a_cancellation_is_not_forgotten(database: str, connection: Connection) -> None:
    _, second = fill(connection, 2)
    (row,) = taken(connection)
    with psycopg.connect(database) as caller:
        caller.execute("SELECT wsup.cancel(%s)", [[second]])
        settle(database, succeeded(row))
        assert taken(connection) == []
        caller.rollback()
    assert ids(taken(connection)) == [second]


def test_marks_move_with_their_lane(connection: Connection) -> None:
    (job,) = fill(connection, 1)
    lane = connection.execute("SELECT wsup.current_lane()").fetchone()
    connection.execute("SELECT nextval('wsup.lane_turn')")
    assert connection.execute("SELECT wsup.sweep(%s, 100)", lane).fetchone() == (True,)
    assert ids(taken(connection)) == [job]


def test_who_was_deleted_by_hand_has_no_turn(connection: Connection) -> None:
    first, second = fill(connection, 2)
    taken(connection)
    connection.execute("DELETE FROM wsup.job WHERE id = %s", [first])
    assert taken(connection) == []
    connection.execute("SELECT wsup.set_key_limit('a', NULL)")
    assert ids(taken(connection)) == [second]


# what is asked for ------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, 150], ids=["one", "some", "many"])
def test_by_every_way_of_enqueueing(app: App, connection: Connection, count: int) -> None:
    task = app.tasks["pay"].options(key="back\\slash %d", key_limit=7)
    if count == 1:
        task.enqueue(order=1)
    else:
        task.enqueue_many([{"order": n} for n in range(count)])
    rows = connection.execute("SELECT key, key_limit FROM wsup.blocked").fetchall()
    assert rows == [("back\\slash %d", 7)] * count
    app.tasks["pay"].enqueue(order=2)
    app.tasks["pay"].enqueue_many([{"order": n} for n in range(150)])
    assert connection.execute("SELECT FROM wsup.ready WHERE job > 0").rowcount == 151


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"key": ""}, "task pay: key='' won't do: give 1 to 200 printable characters"),
        ({"key": 7}, "task pay: key=7 won't do"),
        ({"key": "a", "key_limit": 0}, "task pay: key_limit=0 won't do: give an integer from 1"),
        ({"key_limit": 2}, "task pay: key_limit=2 limits nothing: give a key"),
        ({"key": "a", "unique_key": "b"}, "task pay: give key='a' or a unique_key, not both"),
    ],
)
def test_what_options_refuse(app: App, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(TaskError) as error:
        app.tasks["pay"].options(**options)
    assert complaint in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("key => ''", "key '' must have 1 to 200 characters"),
        ("key => repeat('x', 201)", "must have 1 to 200 characters"),
        ("key => 'a', key_limit => 0", "key_limit 0 is not between 1 and 32767"),
        ("key_limit => 2", "key_limit 2 limits nothing: give a key"),
        ("key => 'a', unique_key => 'b'", "give key a or unique_key b, not both"),
    ],
)
def test_what_sql_refuses(connection: Connection, arguments: str, complaint: str) -> None:
    with pytest.raises(InvalidParameterValue, match=complaint):
        connection.execute(f"SELECT wsup.enqueue('noop', {arguments})".encode())
