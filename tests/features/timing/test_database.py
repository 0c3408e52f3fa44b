"""Limits as they are stored, and refused; no supervisor runs."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
from shell import complaint
from stored import MANY, count, stored

from wsup import App, TaskError
from wsup.by_name import enqueue_by_name

Connection = psycopg.Connection[Any]
#: What the server's clock is off from the real one by, at most, on this very machine.
SLACK = timedelta(minutes=1)
LATER = datetime(2086, 1, 1, tzinfo=timezone(timedelta(hours=2)))


@pytest.fixture
def limited(app: App) -> App:
    app.task(name="brief", expires=60, deadline=timedelta(hours=1))(lambda: None)
    return app


def limit(connection: Connection, job: int, name: str) -> datetime:
    return datetime.fromisoformat(stored(connection, job)["options"][name])


def in_(moment: datetime, span: timedelta) -> bool:
    return abs(moment - datetime.now(UTC) - span) < SLACK


@pytest.mark.parametrize("many", [None, 2, MANY])
def test_seconds_are_counted_by_the_server(app: App, connection: Connection, many: int) -> None:
    task = app.tasks["pay"].options(expires=3600, deadline=timedelta(hours=2), retries=3)
    job = task.enqueue_many([(1,)] * many)[-1] if many else task.enqueue(1)
    assert in_(limit(connection, job.id, "expires_at"), timedelta(hours=1))
    assert in_(limit(connection, job.id, "deadline"), timedelta(hours=2))
    assert stored(connection, job.id)["options"]["retries"] == 3


def test_moments_are_kept_as_they_are(app: App, connection: Connection) -> None:
    task = app.tasks["pay"].options(expires=LATER, deadline=LATER, run_at=LATER - SLACK)
    job = asyncio.run(task.aenqueue(1))
    assert limit(connection, job.id, "expires_at") == LATER
    assert limit(connection, job.id, "deadline") == LATER


def test_beside_a_key(app: App, connection: Connection) -> None:
    task = app.tasks["pay"]
    first = task.options(unique_key="k", delay=5).enqueue(1)
    task.options(unique_key="k", on_conflict="replace", expires=LATER).enqueue(1)
    assert limit(connection, first.id, "expires_at") == LATER


def test_a_tasks_own_count_from_when_the_job_may_start(
    limited: App, connection: Connection
) -> None:
    task = limited.tasks["brief"]
    job = task.options(delay=86400).enqueue()
    assert in_(limit(connection, job.id, "expires_at"), timedelta(days=1, minutes=1))
    assert in_(limit(connection, job.id, "deadline"), timedelta(days=1, hours=1))
    job = task.options(run_at=LATER).enqueue()
    assert limit(connection, job.id, "expires_at") == LATER + timedelta(minutes=1)
    job = task.options(expires=7200).enqueue()
    assert in_(limit(connection, job.id, "expires_at"), timedelta(hours=2))


def test_in_sql(connection: Connection) -> None:
    row = connection.execute(
        """SELECT wsup.enqueue('pay', expires => '1 h', deadline_at => %(at)s, timeout => 5),
                  wsup.enqueue('pay', expires_at => %(at)s, deadline => '1 h')""",
        {"at": LATER},
    ).fetchone()
    assert row is not None
    assert in_(limit(connection, row[0], "expires_at"), timedelta(hours=1))
    assert limit(connection, row[0], "deadline") == LATER
    assert stored(connection, row[0])["options"]["timeout"] == 5
    assert limit(connection, row[1], "expires_at") == LATER
    assert in_(limit(connection, row[1], "deadline"), timedelta(hours=1))


def test_on_the_command_line(connection: Connection, enqueue: Callable[..., int]) -> None:
    job = enqueue("pay", "--expires", "3600", "--deadline", LATER.isoformat())
    assert in_(limit(connection, job, "expires_at"), timedelta(hours=1))
    assert limit(connection, job, "deadline") == LATER


def test_by_name(connection: Connection) -> None:
    job = enqueue_by_name(connection, "pay", expires=3600, unique_key="k")
    assert in_(limit(connection, job, "expires_at"), timedelta(hours=1))
    assert enqueue_by_name(connection, "pay", unique_key="k") == job


# refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"delay": 60, "expires": 60},
        {"delay": 60, "expires": 59.5},
        {"delay": timedelta(days=1), "deadline": timedelta(hours=1)},
        {"run_at": LATER, "expires": 60},
        {"run_at": LATER, "expires": LATER},
        {"run_at": LATER, "deadline": LATER - SLACK},
        {"delay": 60, "deadline": datetime(2020, 1, 1, tzinfo=UTC)},
    ],
)
@pytest.mark.parametrize("many", [False, True])
def test_limits_before_the_start(
    options: dict[str, Any], many: bool, app: App, connection: Connection
) -> None:
    task = app.tasks["pay"].options(**options)
    with pytest.raises(TaskError, match=r"^task pay: (expires|deadline)=.* won't do: it is not "):
        task.enqueue_many([(1,)]) if many else task.enqueue(1)
    assert count(connection) == 0


def test_a_refusal_leaves_a_callers_transaction_as_it_was(app: App, database: str) -> None:
    with psycopg.connect(database) as own:
        with pytest.raises(TaskError):
            app.tasks["pay"].options(delay=60, expires=5, connection=own).enqueue(1)
        assert app.tasks["pay"].options(expires=5, connection=own).enqueue(1).is_new


@pytest.mark.parametrize("value", [0, -1, float("inf"), "soon", True, datetime(2086, 1, 1)])
@pytest.mark.parametrize("option", ["expires", "deadline"])
def test_what_cannot_be_meant(option: str, value: Any, app: App) -> None:
    with pytest.raises(TaskError, match=rf"^task pay: {option}=.* won't do: give seconds above 0"):
        app.tasks["pay"].options(**{option: value})
    with pytest.raises(TaskError, match=rf"^task x: {option}=.* won't do: give seconds above 0"):
        app.task(name="x", **{option: value})(lambda: None)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("expires => '0 s'", "expires 00:00:00 is not above 0"),
        ("deadline => '-1 s'", "deadline -00:00:01 is not above 0"),
        ("expires => '1 s', expires_at => now()", "give expires or expires_at, not both"),
        ("expires_at => 'infinity'", "is not within 100 years"),
        ("deadline => '200 years'", "is not within 100 years"),
        ("delay => '1 h', expires => '1 min'", "is not after"),
        ("run_at => '2086-01-01', deadline_at => '2086-01-01'", "is not after"),
    ],
)
def test_in_sql_too(connection: Connection, given: str, told: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue) as refusal:
        connection.execute(f"SELECT wsup.enqueue('pay', {given})")
    assert told in str(refusal.value)
    assert count(connection) == 0


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--expires", "0"], "--expires 0: use seconds above 0"),
        (["--deadline", "inf"], "--deadline inf: use seconds above 0"),
        (["--expires", "soon"], "--expires soon: use seconds, or a time like"),
        (["--expires", "5", "--delay", "60"], "is not after"),
    ],
)
@pytest.mark.usefixtures("wsup")
def test_and_on_the_command_line(flags: list[str], told: str) -> None:
    assert told in complaint("enqueue", "pay", *flags)
