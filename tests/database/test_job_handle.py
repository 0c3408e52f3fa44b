"""What a handle tells of its job."""

import asyncio
import threading
import time
from collections.abc import Iterator
from datetime import date
from typing import Any

import psycopg
import pytest
from road import pull, put_off, settle, succeeded

from wsup import (
    App,
    Job,
    JobCancelled,
    JobExpired,
    JobFailed,
    JobNotFound,
    ResultError,
    ResultTimeout,
)
from wsup.sql.settlement import CANCELLED, Failure, Over

Connection = psycopg.Connection[Any]


@pytest.fixture
def app(database: str) -> Iterator[App]:
    app = App(database)

    @app.task(name="due")
    def due() -> date:
        return date(2026, 1, 2)

    yield app
    app.close()


@pytest.fixture
def job(app: App) -> Job[Any]:
    return app.tasks["due"].enqueue()


def test_a_job_that_waits_for_a_subworker(job: Job[Any]) -> None:
    assert job.status() == "ready"
    assert asyncio.run(job.astatus()) == "ready"


def test_a_job_that_waits_for_its_time(app: App) -> None:
    assert app.tasks["due"].options(delay=60).enqueue().status() == "waiting"


def test_a_job_on_its_way(job: Job[Any], database: str, connection: Connection) -> None:
    (row,) = pull(connection, 1)
    assert job.status() == "running"
    settle(database, put_off(row, 60))
    assert job.status() == "waiting"


def test_a_result_comes_as_its_type(
    app: App, job: Job[Any], database: str, connection: Connection
) -> None:
    (row,) = pull(connection, 1)
    settle(database, succeeded(row, b'"2026-01-02"'))
    assert job.status() == "succeeded"
    assert job.result() == date(2026, 1, 2)
    assert asyncio.run(job.aresult()) == date(2026, 1, 2)
    assert app.tasks["due"].job(job.id).result() == date(2026, 1, 2)
    assert app.job(job.id).result() == "2026-01-02"


def test_no_result_is_none(job: Job[Any], database: str, connection: Connection) -> None:
    settle(database, succeeded(pull(connection, 1)[0], None))
    assert job.result() is None


def test_a_result_that_is_not_what_was_annotated(
    job: Job[Any], database: str, connection: Connection
) -> None:
    settle(database, succeeded(pull(connection, 1)[0], b"17"))
    with pytest.raises(ResultError, match="task due: the result is not what the annotation says"):
        job.result()


def test_a_failure_is_told_as_it_was(job: Job[Any], database: str, connection: Connection) -> None:
    claim, number, attempt, *_ = pull(connection, 1)[0]
    failure = Failure(
        claim, number, attempt, 0, "ValueError", "no such order", "Traceback …", 0.1, None
    )
    settle(database, failure)
    assert job.status() == "failed"
    with pytest.raises(JobFailed) as caught:
        job.result()
    error = caught.value
    assert str(error) == f"job {job.id} failed in attempt 1: ValueError: no such order"
    assert (error.job_id, error.type, error.message) == (job.id, "ValueError", "no such order")
    assert (error.traceback, error.attempt) == ("Traceback …", 1)


def test_a_cancellation_comes_with_its_reason(
    job: Job[Any], database: str, connection: Connection
) -> None:
    claim, number, attempt, *_ = pull(connection, 1)[0]
    settle(database, Over(claim, number, attempt, CANCELLED, 0.1, 0, None, "paid already"))
    with pytest.raises(JobCancelled, match="is cancelled: paid already") as caught:
        job.result()
    assert caught.value.reason == "paid already"
    assert job.status() == "cancelled"


def test_an_expired_job(job: Job[Any], connection: Connection) -> None:
    connection.execute(
        "INSERT INTO wsup.outcome (job, state, attempt) VALUES (%s, 'expired', 1)", [job.id]
    )
    with pytest.raises(JobExpired):
        job.result()


# waiting --------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [0, 0.1])
def test_a_wait_ends_in_time(job: Job[Any], timeout: float) -> None:
    started = time.monotonic()
    with pytest.raises(ResultTimeout, match=f"job {job.id} has not ended within {timeout:g} s"):
        job.result(timeout)
    with pytest.raises(TimeoutError):
        asyncio.run(job.aresult(timeout))
    assert 2 * timeout <= time.monotonic() - started < 2 * timeout + 1


def test_a_wait_ends_with_the_job(job: Job[Any], database: str, connection: Connection) -> None:
    (row,) = pull(connection, 1)
    results: list[date] = []
    waiter = threading.Thread(target=lambda: results.append(job.result(20)))
    waiter.start()
    settle(database, succeeded(row, b'"2026-01-02"'))
    waiter.join()
    assert results == [date(2026, 1, 2)]


def test_many_can_wait_in_one_event_loop(app: App, database: str, connection: Connection) -> None:
    jobs = app.tasks["due"].enqueue_many([()] * 50)
    rows = pull(connection, 50)

    async def wait() -> list[date]:
        results = asyncio.gather(*[job.aresult(20) for job in jobs])
        await asyncio.to_thread(settle, database, *[succeeded(r, b'"2026-01-02"') for r in rows])
        return await results

    assert asyncio.run(wait()) == [date(2026, 1, 2)] * 50


# no such job ----------------------------------------------------------------------------------


def test_there_is_no_such_job(app: App) -> None:
    job = app.job(10**15)
    for look in (job.status, job.result):
        with pytest.raises(JobNotFound, match=f"there is no job {10**15}"):
            look()


def test_a_job_of_an_open_transaction_is_waited_for(
    app: App, database: str, connection: Connection
) -> None:
    with psycopg.connect(database) as mine:
        job = app.tasks["due"].options(connection=mine).enqueue()
        with pytest.raises(JobNotFound):
            job.status()
        with pytest.raises(ResultTimeout):
            job.result(0.01)
    settle(database, succeeded(pull(connection, 1)[0], b'"2026-01-02"'))
    assert job.result(1) == date(2026, 1, 2)


def test_handles_of_the_same_job_are_equal(app: App, job: Job[Any]) -> None:
    assert {job, app.job(job.id)} == {job}
    assert repr(job) == f"Job({job.id})"
