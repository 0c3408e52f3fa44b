"""Enqueueing jobs, in transactions of their own and in a caller's."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from wsup import App, ArgumentsError, ArgumentsTooLarge, DatabaseError, TaskError
from wsup.enqueue import enqueue_by_name

#: More than go by INSERT, and more than one chunk of a COPY.
MANY = 2345

Connection = psycopg.Connection[Any]


@pytest.fixture
def app(database: str) -> Iterator[App]:
    app = App(database)

    @app.task(name="pay", queue="money", priority=3)
    def pay(order: int, note: str | None = "") -> None: ...

    yield app
    app.close()


def stored(connection: Connection, job: int) -> dict[str, Any]:
    cursor = connection.cursor(row_factory=dict_row)
    row = cursor.execute(
        "SELECT task, queue, priority, run_at, args, options FROM wsup.job WHERE id = %s", [job]
    ).fetchone()
    assert row is not None
    return row


def count(connection: Connection, table: str = "job") -> int:
    query = psycopg.sql.SQL("SELECT count(*) FROM wsup.{}").format(psycopg.sql.Identifier(table))
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


# one ------------------------------------------------------------------------------------------


def test_a_job_is_stored_as_its_task_has_it(app: App, connection: Connection) -> None:
    job = app.tasks["pay"].enqueue(1, note="\0 \\ ü")
    assert stored(connection, job.id) == {
        "task": "pay",
        "queue": "money",
        "priority": 3,
        "run_at": None,
        "args": {"order": 1, "note": "\0 \\ ü"},
        "options": None,
    }
    assert count(connection, "ready") == 1


def test_options_of_one_job_go_with_it(app: App, connection: Connection) -> None:
    options = app.tasks["pay"].options(queue="q", priority=-5, retries=0, timeout=1.5)
    row = stored(connection, options.enqueue(1).id)
    assert (row["queue"], row["priority"]) == ("q", -5)
    assert row["options"] == {"retries": 0, "timeout": 1.5}


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("delay", [3600, timedelta(hours=1)])
def test_a_delay_is_from_now_on(
    app: App, connection: Connection, delay: float | timedelta, many: bool
) -> None:
    task = app.tasks["pay"].options(delay=delay)
    job = task.enqueue_many([(1,)] * MANY)[-1] if many else task.enqueue(1)
    late = stored(connection, job.id)["run_at"] - datetime.now(UTC)
    assert timedelta(minutes=59) < late < timedelta(minutes=61)
    assert count(connection, "waiting") == (MANY if many else 1)


@pytest.mark.parametrize("number", [1, 2, MANY])
def test_a_time_is_kept_to_the_microsecond(app: App, connection: Connection, number: int) -> None:
    run_at = datetime(2086, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    jobs = app.tasks["pay"].options(run_at=run_at).enqueue_many([(1,)] * number)
    assert {stored(connection, job.id)["run_at"] for job in (jobs[0], jobs[-1])} == {run_at}


def test_the_async_door(app: App, connection: Connection) -> None:
    async def enqueue() -> list[int]:
        task = app.tasks["pay"]
        one = await task.aenqueue(1, note="a")
        together = await asyncio.gather(*[task.aenqueue(n) for n in range(20)])
        many = await task.aenqueue_many([(n,) for n in range(MANY)])
        await app.aclose()
        return [one.id, *(job.id for job in together + many)]

    ids = asyncio.run(enqueue())
    assert len(set(ids)) == count(connection) == MANY + 21
    assert stored(connection, ids[-1])["args"] == {"order": MANY - 1}


# many -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, 100, 101, MANY])
def test_many_jobs_come_back_in_order(app: App, connection: Connection, number: int) -> None:
    jobs = app.tasks["pay"].enqueue_many(
        [{"order": n, "note": "a\\b\t\n\0"} for n in range(number)]
    )
    rows = connection.execute("SELECT id, args FROM wsup.job ORDER BY id").fetchall()
    assert [job.id for job in jobs] == [row[0] for row in rows]
    assert [row[1] for row in rows] == [{"order": n, "note": "a\\b\t\n\0"} for n in range(number)]
    assert count(connection, "ready") == number


def test_an_item_may_be_a_dict_a_tuple_or_typed(app: App, connection: Connection) -> None:
    task = app.tasks["pay"]
    jobs = task.enqueue_many([{"order": 1, "note": None}, (2, "b"), task.args(3, note="c")])
    assert [stored(connection, job.id)["args"]["order"] for job in jobs] == [1, 2, 3]


def test_items_may_come_one_by_one(app: App) -> None:
    assert len(app.tasks["pay"].enqueue_many((n,) for n in range(5))) == 5


@pytest.mark.parametrize("bad", [{"order": "x"}, (1, 2, 3), [1], {"order": 1, "no": 2}])
def test_one_bad_item_and_none_is_enqueued(app: App, connection: Connection, bad: Any) -> None:
    with pytest.raises(ArgumentsError, match=r"^item 2000: task pay"):
        app.tasks["pay"].enqueue_many([*[(1,)] * 2000, bad, (1,)])
    assert count(connection) == 0


def test_names_and_options_are_escaped(app: App, connection: Connection) -> None:
    @app.task(name=r"odd\N%s%%", queue=r"\.")
    def odd() -> None: ...

    job = odd.options(retries=1).enqueue_many([()] * MANY)[-1]
    row = stored(connection, job.id)
    assert (row["task"], row["queue"], row["options"]) == (r"odd\N%s%%", r"\.", {"retries": 1})


def test_the_limit_can_be_set(database: str) -> None:
    app = App(database, max_args=20)

    @app.task(name="small")
    def small(text: str) -> None: ...

    small.enqueue("x" * 9)
    with pytest.raises(ArgumentsTooLarge, match="the limit is 20"):
        small.enqueue("x" * 10)
    with pytest.raises(ArgumentsTooLarge, match="item 1: "):
        small.enqueue_many([("x",), ("x" * 10,)])
    app.close()


# in a caller's transaction --------------------------------------------------------------------


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


# by name --------------------------------------------------------------------------------------


def test_a_job_by_name(connection: Connection) -> None:
    job = enqueue_by_name(
        connection, "shop.pay", '{"a": ["\\u0000"]}', queue="q", priority=2, delay=60, retries=3
    )
    row = stored(connection, job)
    assert (row["task"], row["queue"], row["priority"]) == ("shop.pay", "q", 2)
    assert (row["args"], row["options"]) == ({"a": ["\0"]}, {"retries": 3})
    assert count(connection, "waiting") == 1


@pytest.mark.parametrize("args", ["", "[]", "1", "{", '{"a": NaN}', '{"a": 1} x'])
def test_arguments_that_are_no_json_object(connection: Connection, args: str) -> None:
    with pytest.raises(ArgumentsError, match=r"task shop\.pay: .* is no JSON object"):
        enqueue_by_name(connection, "shop.pay", args)


def test_a_name_that_will_not_do(connection: Connection) -> None:
    with pytest.raises(TaskError, match="1 to 200 printable characters"):
        enqueue_by_name(connection, "")


# a database that isn't ready ------------------------------------------------------------------


def test_a_database_without_the_schema(empty_database: str) -> None:
    app = App(empty_database)

    @app.task(name="task")
    def task() -> None: ...

    for enqueue in (task.enqueue, lambda: task.enqueue_many([()] * MANY)):
        with pytest.raises(DatabaseError, match="run `wsup migrate`"):
            enqueue()
    with (
        psycopg.connect(empty_database) as mine,
        pytest.raises(DatabaseError, match="run `wsup migrate`"),
    ):
        task.options(connection=mine).enqueue()
    app.close()
