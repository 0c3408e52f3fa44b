"""Requests to cancel jobs, by the statements alone."""

import threading
from typing import Any

import psycopg
import pytest
from road import failed, fill, places, pull, put_off, settle, succeeded, with_source

from wsup import App
from wsup.errors import JobNotFound
from wsup.sql.answers import CancelRequest
from wsup.sql.settlement import Entry

Connection = psycopg.Connection[Any]


def cancel(connection: Connection, *jobs: int, kill: bool = False) -> list[str | None]:
    query = "SELECT state FROM wsup.cancel(%s, %s)"
    return [row[0] for row in connection.execute(query, [list(jobs), kill])]


def requests(connection: Connection) -> list[tuple[int, bool]]:
    query = "SELECT job, kill FROM wsup.cancel_request ORDER BY job"
    return connection.execute(query).fetchall()


def asked(database: str) -> list[CancelRequest]:
    """What supervisor 1 is asked to cancel."""
    return with_source(database, lambda source: source.cancelling())


def test_each_job_where_it_stands(database: str, connection: Connection) -> None:
    over, broken, held = fill(connection, 3)
    rows = {row[1]: row for row in pull(connection, 3)}
    settle(database, succeeded(rows[over]), failed(rows[broken]))
    (ready,) = fill(connection, 1)
    row = connection.execute("SELECT wsup.enqueue('noop', delay => '1 hour')").fetchone()
    assert row is not None
    told = cancel(connection, over, broken, held, ready, row[0], 999, kill=True)
    assert told == ["succeeded", "failed", "cancelling", "cancelled", "cancelled", None]
    assert requests(connection) == [(held, True)]
    assert [(r.job, r.kill) for r in asked(database)] == [(held, True)]
    settle(database, succeeded(rows[held]))
    assert asked(database) == []
    assert requests(connection) == []


@pytest.mark.parametrize(
    "back",
    [
        put_off,
        lambda row: put_off(row, 0.0),
        lambda row: failed(row, 0.0),
        lambda row: failed(row, 3600.0),
    ],
    ids=["given back", "snoozed", "retried", "waits for a retry"],
)
def test_a_job_that_is_put_back_never_runs_again(
    back: Any, database: str, connection: Connection
) -> None:
    (job,) = fill(connection, 1)
    (row,) = pull(connection, 1)
    assert cancel(connection, job) == ["cancelling"]
    entry: Entry = back(row)
    settle(database, entry)
    connection.execute("SELECT wsup.promote(10)")
    assert pull(connection, 10) == []
    assert places(connection, job) == ["cancelled"]
    assert requests(connection) == []


def test_a_rescued_job_never_runs_again(connection: Connection) -> None:
    jobs = fill(connection, 3)
    pull(connection, 3)
    cancel(connection, jobs[1])
    connection.execute("SELECT wsup.rescue(1, 5)")
    assert [row[1] for row in pull(connection, 10, supervisor=2)] == [jobs[0], jobs[2]]
    assert places(connection, jobs[1]) == ["cancelled"]


def test_a_waiting_one_is_found_by_a_look(database: str, connection: Connection) -> None:
    (job,) = fill(connection, 1)
    (row,) = pull(connection, 1)
    cancel(connection, job)
    settle(database, put_off(row, 3600.0))
    assert asked(database) == []
    assert places(connection, job) == ["cancelled"]


def test_asked_again_it_is_another_request(database: str, connection: Connection) -> None:
    (job,) = fill(connection, 1)
    pull(connection, 1)
    cancel(connection, job, kill=True)
    (first,) = asked(database)
    cancel(connection, job)
    (second,) = asked(database)
    assert second.kill
    assert second.requested_at > first.requested_at


def test_a_request_that_came_too_late_is_not_meant_for_a_retry(
    database: str, connection: Connection
) -> None:
    (job,) = fill(connection, 1)
    (row,) = pull(connection, 1)
    cancel(connection, job)
    settle(database, failed(row))
    connection.execute("SELECT wsup.retry(ARRAY[%s::bigint])", [job])
    assert [row[1] for row in pull(connection, 1)] == [job]


def test_an_open_transaction_of_the_caller_holds_nobody_up(
    database: str, connection: Connection
) -> None:
    """Of a request that is not committed nobody knows; the others go on."""
    held, again, ready, other = fill(connection, 4)
    rows = pull(connection, 2)
    cancel(connection, again)
    connection.execute("SET lock_timeout = '10s'")
    with psycopg.connect(database) as caller:
        assert cancel(caller, held, again, ready) == ["cancelling", "cancelling", "cancelled"]
        assert settle(database, succeeded(rows[0]), put_off(rows[1])) == 0
        assert [row[1] for row in pull(connection, 10)] == [other]
        assert asked(database) == []
        assert places(connection, again) == ["cancelled"]


def test_one_that_is_just_being_pulled(database: str, connection: Connection) -> None:
    """The request waits for that, and goes to who has it now."""
    (job,) = fill(connection, 1)
    answers: list[list[str | None]] = []
    connection.execute("LISTEN wsup_7")
    with (
        psycopg.connect(database) as puller,
        psycopg.connect(database, autocommit=True) as caller,
    ):
        pull(puller, 1, supervisor=7)
        asking = threading.Thread(target=lambda: answers.append(cancel(caller, job)))
        asking.start()
        waits = "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
        while not connection.execute(waits, [caller.info.backend_pid]).rowcount:
            pass
        puller.commit()
        asking.join()
    assert answers == [["cancelling"]]
    (heard,) = connection.notifies(timeout=10, stop_after=1)
    assert heard.payload == "cancel"


def test_only_who_holds_it_is_told(connection: Connection) -> None:
    first, second = fill(connection, 2)
    pull(connection, 1, supervisor=1)
    pull(connection, 1, supervisor=2)
    connection.execute("LISTEN wsup; LISTEN wsup_1; LISTEN wsup_2")
    cancel(connection, second)
    assert [n.channel for n in connection.notifies(timeout=10, stop_after=1)] == ["wsup_2"]
    cancel(connection, first)
    assert [n.channel for n in connection.notifies(timeout=10, stop_after=1)] == ["wsup_1"]


def test_a_handle(database: str, app: App, connection: Connection) -> None:
    job = app.tasks["pay"].enqueue(1)
    assert job.cancel() == "cancelled"
    assert job.cancel() == "cancelled"
    assert job.status() == "cancelled"
    held = app.tasks["pay"].enqueue(1)
    pull(connection, 1, ("money",))
    assert held.cancel(kill=True) == "cancelling"
    assert requests(connection) == [(held.id, True)]
    connection.execute("DELETE FROM wsup.job")
    with pytest.raises(JobNotFound, match=f"there is no job {held.id}"):
        held.cancel()
    assert asked(database) == []
    assert requests(connection) == []


async def _acancel(app: App) -> str:
    job = await app.tasks["pay"].aenqueue(1)
    return await job.acancel()


def test_a_handle_in_asyncio(app: App) -> None:
    import asyncio

    assert asyncio.run(_acancel(app)) == "cancelled"
