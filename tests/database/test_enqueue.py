"""Enqueueing jobs: one, many, by name."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from stored import MANY, count, stored

from wsup import App, ArgumentsError, ArgumentsTooLarge, DatabaseError, TaskError
from wsup.by_name import enqueue_by_name

Connection = psycopg.Connection[Any]


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
