"""The same keys by several at once: who waits for whom, and what comes of it."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from road import places, pull
from running import PATIENCE, until
from stored import count, stored

from wsup import App, Job

Connection = psycopg.Connection[Any]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as made:
        yield made


def pay(app: App, order: int, **options: Any) -> Job[Any]:
    return app.tasks["pay"].options(unique_key="k", **options).enqueue(order)


def waits(connection: Connection) -> bool:
    """Does anybody wait for another one's transaction?"""
    return bool(connection.execute("SELECT FROM pg_locks WHERE NOT granted").rowcount)


@pytest.mark.parametrize("policy", ["skip", "replace"])
@pytest.mark.parametrize("there", ["nobody's", "a finished one's"])
@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_who_comes_second_waits_for_the_first_ones_transaction(
    end: str,
    there: str,
    policy: str,
    app: App,
    database: str,
    connection: Connection,
    pool: ThreadPoolExecutor,
) -> None:
    if there == "a finished one's":
        pay(app, 0).cancel()
    before = count(connection)
    with psycopg.connect(database) as own:
        first = pay(app, 1, connection=own)
        second: Future[Job[Any]] = pool.submit(pay, app, 2, on_conflict=policy)
        until(lambda: waits(connection), "the second one waits")
        getattr(own, end)()
    job = second.result(PATIENCE)
    assert count(connection) == before + 1
    assert job.is_new == (end == "rollback")
    assert (job == first) == (end == "commit")
    order = 1 if (end, policy) == ("commit", "skip") else 2
    assert stored(connection, job.id)["args"] == {"order": order}
    assert places(connection, job.id) == ["ready"]


def test_a_replacement_that_is_rolled_back_leaves_the_job_as_it_was(
    app: App, database: str, connection: Connection
) -> None:
    job = pay(app, 1)
    with psycopg.connect(database) as own:
        assert pay(app, 2, connection=own, on_conflict="replace", delay=60).is_replaced
        assert pull(connection, 10, ["money"]) == []  # nobody waits for the open transaction
        own.rollback()
    ((_, number, *_, args, _),) = pull(connection, 10, ["money"])
    assert (number, args) == (job.id, {"order": 1})


def test_what_is_being_pulled_is_waited_for(
    app: App, database: str, connection: Connection, pool: ThreadPoolExecutor
) -> None:
    job = pay(app, 1)
    with psycopg.connect(database) as turn:
        assert len(pull(turn, 10, ["money"])) == 1
        asked = pool.submit(pay, app, 2, on_conflict="replace")
        until(lambda: waits(connection), "the replacement waits for the turn")
        turn.commit()
    assert not asked.result(PATIENCE).is_replaced
    assert stored(connection, job.id)["args"] == {"order": 1}
    assert places(connection, job.id) == ["claimed"]


def test_what_is_being_promoted_is_found_afterwards(
    app: App, database: str, connection: Connection, pool: ThreadPoolExecutor
) -> None:
    job = pay(app, 1, delay=3600)
    connection.execute("UPDATE wsup.waiting SET due_at = now()")
    with psycopg.connect(database) as turn:
        turn.execute("SELECT wsup.promote(10)")
        asked = pool.submit(pay, app, 2, on_conflict="replace")
        until(lambda: waits(connection), "the replacement waits for the turn")
        turn.commit()
    assert asked.result(PATIENCE).is_replaced
    assert stored(connection, job.id)["args"] == {"order": 2}
    assert places(connection, job.id) == ["ready"]


@pytest.mark.parametrize("policy", ["skip", "replace"])
def test_many_at_once_make_one(
    policy: str, app: App, connection: Connection, pool: ThreadPoolExecutor
) -> None:
    start = threading.Barrier(8)

    def enqueue(number: int) -> Job[Any]:
        start.wait(PATIENCE)
        return pay(app, number, on_conflict=policy)

    rounds = 10
    for _ in range(rounds):
        jobs = list(pool.map(enqueue, range(8)))
        assert len(set(jobs)) == 1
        assert sum(job.is_new for job in jobs) == 1
        assert places(connection, jobs[0].id) == ["ready"]
        jobs[0].cancel()  # in the next round, the key is a finished one's
    assert count(connection) == rounds
    assert count(connection, "unique_key") == 1


@pytest.mark.parametrize("policy", ["skip", "replace"])
def test_many_keys_in_any_order_do_not_wait_for_each_other_in_a_ring(
    policy: Any, app: App, connection: Connection, pool: ThreadPoolExecutor
) -> None:
    keys = [f"k{n}" for n in range(300)]
    keyed = app.tasks["pay"].options(
        unique_key=lambda order: keys[order], on_conflict=policy, unique_for=0.001
    )
    start = threading.Barrier(4)

    def enqueue(number: int) -> None:
        items = [(n,) for n in range(len(keys))]
        for _ in range(5):  # of each round, the keys are free in the next one
            start.wait(PATIENCE)
            keyed.enqueue_many(items[:: -1 if number % 2 else 1])  # or else: deadlock detected

    for done in [pool.submit(enqueue, number) for number in range(4)]:
        done.result(2 * PATIENCE)
    assert count(connection, "unique_key") == len(keys)


def test_a_fixed_snapshot_gets_an_error_to_try_again(app: App, database: str) -> None:
    with psycopg.connect(database) as own:
        own.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        own.execute("SELECT FROM wsup.job")
        pay(app, 1)
        with pytest.raises(psycopg.errors.SerializationFailure):
            pay(app, 2, connection=own)
        assert own.info.transaction_status is TransactionStatus.INERROR
        own.rollback()
        assert not pay(app, 2, connection=own).is_new
