"""Enqueueing jobs in a caller's transaction: they come and go with it, and do it no harm."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from road import fill, pull, settle, succeeded
from stored import MANY, count

from wsup import App, ArgumentsError, TaskError

Connection = psycopg.Connection[Any]


def enqueue_one(task: Any) -> int:
    task.enqueue(1, note="ü")
    return 1


def enqueue_few(task: Any) -> int:
    return len(task.enqueue_many([(1, "ü"), (2, "ü")]))


def enqueue_many(task: Any) -> int:
    return len(task.enqueue_many([(n, "ü") for n in range(MANY)]))


ways = pytest.mark.parametrize("way", [enqueue_one, enqueue_few, enqueue_many])


@ways
def test_jobs_belong_to_the_callers_transaction(
    app: App, database: str, connection: Connection, way: Callable[[Any], int]
) -> None:
    with psycopg.connect(database) as mine:
        task = app.tasks["pay"].options(connection=mine)
        way(task)
        assert count(connection) == 0
        mine.rollback()
        assert count(connection) == 0
        number = way(task)
        assert count(connection) == 0
        mine.commit()
    assert count(connection) == number


@ways
def test_a_mistake_leaves_the_callers_transaction_unharmed(
    app: App, database: str, way: Callable[[Any], int]
) -> None:
    with psycopg.connect(database) as mine:
        task = app.tasks["pay"].options(connection=mine)
        number = way(task)
        with pytest.raises(ArgumentsError):
            task.enqueue("x")
        with pytest.raises(ArgumentsError):
            task.enqueue_many([(1,)] * MANY + [("x",)])
        assert count(mine) == number


def with_dicts(connection: Connection) -> AbstractContextManager[Any]:
    connection.row_factory = dict_row
    return connection.transaction()


def with_client_side_binding(connection: Connection) -> AbstractContextManager[Any]:
    connection.cursor_factory = psycopg.ClientCursor
    return connection.transaction()


def with_raw_cursors(connection: Connection) -> AbstractContextManager[Any]:
    connection.cursor_factory = psycopg.RawCursor
    return connection.transaction()


def without_prepared_statements(connection: Connection) -> AbstractContextManager[Any]:
    connection.prepare_threshold = None
    return connection.transaction()


def with_other_ways_to_write(connection: Connection) -> AbstractContextManager[Any]:
    connection.execute("SET DateStyle = 'SQL, DMY'")
    connection.execute("SET IntervalStyle = sql_standard")
    connection.execute("SET TimeZone = 'Asia/Kathmandu'")
    connection.execute("SET search_path = nowhere")
    return connection.transaction()


def with_another_encoding(connection: Connection) -> AbstractContextManager[Any]:
    connection.execute("SET client_encoding = 'LATIN1'")
    return connection.transaction()


def with_a_pipeline(connection: Connection) -> AbstractContextManager[Any]:
    return connection.pipeline()


def in_serializable(connection: Connection) -> AbstractContextManager[Any]:
    connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    return connection.transaction()


@ways
@pytest.mark.parametrize("autocommit", [False, True])
@pytest.mark.parametrize(
    "habit",
    [
        with_dicts,
        with_client_side_binding,
        with_raw_cursors,
        without_prepared_statements,
        with_other_ways_to_write,
        with_another_encoding,
        with_a_pipeline,
        in_serializable,
    ],
)
def test_the_callers_habits_do_not_matter(
    app: App,
    database: str,
    connection: Connection,
    habit: Callable[[Connection], AbstractContextManager[Any]],
    autocommit: bool,
    way: Callable[[Any], int],
) -> None:
    with psycopg.connect(database, autocommit=autocommit) as mine:
        before = (mine.row_factory, mine.cursor_factory, mine.autocommit)
        with habit(mine):
            before = (mine.row_factory, mine.cursor_factory, mine.autocommit)
            number = way(app.tasks["pay"].options(connection=mine, delay=60))
            assert (mine.row_factory, mine.cursor_factory, mine.autocommit) == before
    assert count(connection) == count(connection, "waiting") == number
    notes = connection.execute("SELECT DISTINCT args->>'note' FROM wsup.job").fetchall()
    assert notes == [("ü",)]
    dues = connection.execute("SELECT due_at FROM wsup.waiting").fetchall()
    assert all(timedelta(0) < due - datetime.now(UTC) < timedelta(minutes=2) for (due,) in dues)


def test_an_async_connection(app: App, database: str, connection: Connection) -> None:
    async def enqueue() -> None:
        async with await psycopg.AsyncConnection.connect(database) as mine:
            task = app.tasks["pay"].options(connection=mine)
            await task.aenqueue(1)
            await task.aenqueue_many([(1,)] * MANY)
            async with mine.pipeline():
                await task.aenqueue_many([(1,)] * MANY)
            assert count(connection) == 0

    asyncio.run(enqueue())
    assert count(connection) == 2 * MANY + 1


def test_a_connection_of_the_wrong_kind(app: App, connection: Connection) -> None:
    task = app.tasks["pay"]
    with pytest.raises(TaskError, match=r"connection=wsup.app.App won't do: give a psycopg"):
        task.options(connection=app).enqueue(1)  # type: ignore[arg-type]
    with pytest.raises(TaskError, match="AsyncConnection"):
        asyncio.run(task.options(connection=connection).aenqueue(1))


def test_the_callers_own_errors_stay_psycopgs(app: App, database: str) -> None:
    with psycopg.connect(database) as mine:
        with pytest.raises(psycopg.errors.DivisionByZero):
            mine.execute("SELECT 1/0")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            app.tasks["pay"].options(connection=mine).enqueue(1)
        mine.rollback()


@ways
def test_an_open_transaction_keeps_nobody_waiting(
    app: App, database: str, connection: Connection, way: Callable[[Any], int]
) -> None:
    """Neither others that enqueue into the same queue, nor a supervisor that pulls from it."""
    connection.execute("SET lock_timeout = '1 ms'")
    fill(connection, 5, "money")
    with psycopg.connect(database) as mine:
        way(app.tasks["pay"].options(connection=mine))
        assert way(app.tasks["pay"].options(connection=connection)) > 0
        held = pull(connection, 5, ["money"])
        assert len(held) == 5
        assert settle(database, *[succeeded(row) for row in held]) == 0
        mine.commit()
