"""Jobs with a unique key, by the statements alone; no supervisor runs."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from paying import args, pay, take
from road import failed, pull, put_off, settle, succeeded
from shell import Wsup
from stored import MANY, count, stored

from wsup import App, JobExists

Connection = psycopg.Connection[Any]
#: Enqueues an order under a key; returns the job's id.
Door = Callable[[int, str], int]


@pytest.fixture(params=["python", "asyncio", "sql", "command line"])
def door(
    request: pytest.FixtureRequest, app: App, connection: Connection, enqueue: Callable[..., int]
) -> Door:
    async def wait(order: int, key: str) -> int:
        return (await app.tasks["pay"].options(unique_key=key).aenqueue(order)).id

    def call(order: int, key: str) -> int:
        query = """SELECT wsup.enqueue('pay', jsonb_build_object('order', %s::integer),
                                       queue => 'money', unique_key => %s)"""
        row = connection.execute(query, [order, key]).fetchone()
        assert row is not None
        return int(row[0])

    doors: dict[str, Door] = {
        "python": lambda order, key: app.tasks["pay"].options(unique_key=key).enqueue(order).id,
        "asyncio": lambda order, key: asyncio.run(wait(order, key)),
        "sql": call,
        "command line": lambda order, key: enqueue(
            "pay", f'{{"order": {order}}}', "--queue", "money", "--unique-key", key
        ),
    }
    return doors[request.param]


def test_every_door_keeps_a_second_one_out(door: Door, connection: Connection) -> None:
    first = door(1, "a")
    assert door(2, "a") == first
    assert door(3, "b") != first
    assert count(connection) == 2
    assert stored(connection, first)["args"] == {"order": 1}


def test_the_handle_tells_whether_it_is_new(app: App) -> None:
    first, second = pay(app), pay(app)
    assert (first.is_new, second.is_new, second.is_replaced) == (True, False, False)
    assert second == first
    assert app.tasks["pay"].enqueue(1).is_new
    assert not app.job(first.id).is_new


def test_a_key_is_its_tasks_own(app: App, connection: Connection) -> None:
    app.task(name="refund")(lambda order: None)
    pay(app)
    assert app.tasks["refund"].options(unique_key="k").enqueue(order=1).is_new


@pytest.mark.parametrize("stand", ["waiting", "claimed", "given back", "waits for a retry"])
def test_an_unfinished_job_keeps_its_key(
    stand: str, app: App, database: str, connection: Connection
) -> None:
    first = pay(app, delay=3600 if stand == "waiting" else None)
    if stand != "waiting":
        row = take(connection)
        if stand == "given back":
            settle(database, put_off(row))
        elif stand == "waits for a retry":
            settle(database, failed(row, 3600.0))
    assert pay(app) == first
    assert count(connection) == 1


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled", "removed"])
def test_a_finished_one_leaves_it_to_the_next(
    end: str, app: App, database: str, connection: Connection
) -> None:
    first = pay(app)
    if end in ("succeeded", "failed"):
        settle(database, {"succeeded": succeeded, "failed": failed}[end](take(connection)))
    elif end == "cancelled":
        first.cancel()
    else:
        pull(connection, 1, ["money"])
        connection.execute("DELETE FROM wsup.job")
    second = pay(app)
    assert second.is_new
    assert pay(app) == second != first
    assert count(connection, "unique_key") == 1


def test_for_a_time_a_finished_one_keeps_it(
    app: App, database: str, connection: Connection
) -> None:
    first = pay(app, unique_for=timedelta(hours=1))
    settle(database, succeeded(take(connection)))
    assert pay(app, unique_for=3600) == first
    row = connection.execute("SELECT until - now() FROM wsup.unique_key").fetchone()
    assert row is not None
    assert timedelta(minutes=59) < row[0] <= timedelta(hours=1)


def test_after_that_time_an_unfinished_one_does_not(app: App, connection: Connection) -> None:
    first = pay(app, unique_for=3600)
    connection.execute("UPDATE wsup.unique_key SET until = clock_timestamp()")
    second = pay(app, unique_for=3600)
    assert second.is_new
    assert pay(app) == second != first


def test_rows_that_no_longer_count_may_be_removed(app: App, connection: Connection) -> None:
    pay(app).cancel()
    connection.execute("DELETE FROM wsup.unique_key")
    assert pay(app).is_new


def test_other_jobs_do_not_touch_the_keys(app: App, database: str) -> None:
    with psycopg.connect(database) as open_one:
        own = app.tasks["pay"].options(connection=open_one)
        own.enqueue(1)
        own.enqueue_many([(n,) for n in range(MANY)])
        open_one.execute("SELECT wsup.enqueue('pay')")
        locked = open_one.execute(
            "SELECT relation::regclass::text FROM pg_locks WHERE pid = pg_backend_pid()"
        )
        assert "wsup.unique_key" not in {row[0] for row in locked}


# on_conflict ----------------------------------------------------------------------------------


def test_a_key_for_each_of_many(app: App, connection: Connection) -> None:
    there = pay(app, 7, "k7")
    keyed = app.tasks["pay"].options(
        unique_key=lambda order, note="": None if note else f"k{order}"
    )
    items = [
        keyed.args(8),
        (7,),
        {"order": 9},
        {"order": 8, "note": "no key"},
        keyed.args(order=8),
        keyed.args(8, note="no key"),
    ]
    jobs = keyed.enqueue_many(iter(items))
    assert [job.is_new for job in jobs] == [True, False, True, True, False, True]
    assert jobs[1] == there
    assert jobs[4] == jobs[0]
    assert [args(connection, job)["order"] for job in jobs] == [8, 7, 9, 8, 8, 8]
    made = [job.id for job in jobs if job.is_new]
    assert made == sorted(made)
    assert count(connection) == 5


def test_of_the_same_key_in_one_call_the_last_replaces(app: App, connection: Connection) -> None:
    there = pay(app, 1, "a", delay=60)
    replace = app.tasks["pay"].options(
        unique_key=lambda order: "ab"[order % 2], on_conflict="replace"
    )
    jobs = replace.enqueue_many([(2,), (3,), (4,), (5,)])
    assert [(job.is_new, job.is_replaced) for job in jobs] == [
        (False, True),
        (True, False),
        (False, True),
        (False, True),
    ]
    assert jobs[0] == jobs[2] == there
    assert jobs[1] == jobs[3]
    assert [args(connection, job)["order"] for job in jobs[:2]] == [4, 5]
    assert count(connection) == count(connection, "ready") == 2


def test_the_same_key_in_one_call_is_a_conflict(app: App, connection: Connection) -> None:
    strict = app.tasks["pay"].options(unique_key="k", on_conflict="raise")
    with pytest.raises(JobExists, match=r"^item 1: an item before it has the unique key 'k'"):
        strict.enqueue_many([(1,), (2,)])
    assert count(connection) == count(connection, "unique_key") == 0
    assert strict.enqueue_many([]) == []


def test_many_thousand_keys(app: App, connection: Connection) -> None:
    keyed = app.tasks["pay"].options(unique_key=lambda order: f"k{order}")
    jobs = keyed.enqueue_many([(n,) for n in range(MANY)])
    again = keyed.enqueue_many([(n,) for n in range(MANY)])
    assert again == jobs
    assert all(job.is_new for job in jobs)
    assert not any(job.is_new for job in again)
    assert count(connection) == MANY


# the command line -----------------------------------------------------------------------------


def test_the_command_line_tells_of_a_conflict(wsup: Wsup, enqueue: Callable[..., int]) -> None:
    flags = ("--unique-key", "k", "--unique-for", "60", "--on-conflict", "raise")
    job = enqueue("pay", *flags)
    refused = wsup("enqueue", "pay", *flags)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == f"wsup: enqueue 'pay': job {job} has the unique key k of pay\n"


def test_the_command_line_replaces(connection: Connection, enqueue: Callable[..., int]) -> None:
    job = enqueue("pay", "--unique-key", "k", "--run-at", "2086-01-01")
    again = enqueue("pay", '{"order": 2}', "--unique-key", "k", "--on-conflict", "replace")
    assert again == job
    row = stored(connection, job)
    assert (row["args"], row["run_at"]) == ({"order": 2}, None)
