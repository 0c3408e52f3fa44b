"""What becomes of a job whose key another one has: it replaces that one, or is refused."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from paying import args, pay, take
from road import failed, places, put_off, settle, succeeded
from stored import count, stored

from wsup import App, JobExists

Connection = psycopg.Connection[Any]


@pytest.mark.parametrize("before", [None, 3600.0], ids=["ready", "waiting"])
@pytest.mark.parametrize("after", [None, 3600.0], ids=["at once", "later"])
def test_replace_changes_what_has_not_started(
    before: float | None, after: float | None, app: App, connection: Connection
) -> None:
    first = pay(app, 1, delay=before)
    second = pay(app, 2, delay=after, queue="other", priority=9, retries=4, on_conflict="replace")
    assert (second, second.is_new, second.is_replaced) == (first, False, True)
    row = stored(connection, first.id)
    assert (row["args"], row["queue"], row["priority"]) == ({"order": 2}, "other", 9)
    assert row["options"] == {"retries": 4}
    if after is None:
        assert places(connection, first.id) == ["ready"]
        assert take(connection)[1:6] == (first.id, 1, "pay", "other", {"order": 2})
    else:
        assert places(connection, first.id) == ["waiting"]
        late = connection.execute("SELECT due_at - now() FROM wsup.waiting").fetchone()
        assert late is not None
        assert timedelta(minutes=59) < late[0] <= timedelta(hours=1)
    assert count(connection) == 1


@pytest.mark.parametrize("stand", ["claimed", "waits for a retry", "ended"])
def test_replace_leaves_what_has_started(
    stand: str, app: App, database: str, connection: Connection
) -> None:
    first = pay(app, 1, unique_for=3600)
    row = take(connection)
    if stand == "waits for a retry":
        settle(database, failed(row, 3600.0))
    elif stand == "ended":
        settle(database, succeeded(row))
    before = places(connection, first.id)
    second = pay(app, 2, on_conflict="replace")
    assert (second, second.is_new, second.is_replaced) == (first, False, False)
    assert args(connection, first) == {"order": 1}
    assert places(connection, first.id) == before
    assert count(connection) == 1


def test_a_job_that_was_to_be_cancelled_is_another_one_then(
    app: App, database: str, connection: Connection
) -> None:
    first = pay(app, 1)
    row = take(connection)
    assert first.cancel() == "cancelling"
    settle(database, put_off(row))
    assert pay(app, 2, on_conflict="replace").is_replaced
    assert take(connection)[5] == {"order": 2}


def test_replace_renews_the_time_of_the_key(app: App, connection: Connection) -> None:
    pay(app, unique_for=60, delay=60)
    pay(app, unique_for=3600, on_conflict="replace")
    row = connection.execute("SELECT until > now() + '59 min' FROM wsup.unique_key").fetchone()
    assert row == (True,)


@pytest.mark.parametrize("many", [False, True])
def test_raise_names_the_other_job(many: bool, app: App, connection: Connection) -> None:
    first = pay(app)
    strict = app.tasks["pay"].options(
        unique_key=lambda order: f"{'jk'[order % 2]}", on_conflict="raise"
    )
    with pytest.raises(JobExists) as told:
        strict.enqueue_many([(0,), (1,)]) if many else strict.enqueue(1)
    where = "item 1: " if many else ""
    assert str(told.value) == f"{where}job {first.id} has the unique key 'k' of task pay"
    assert (told.value.job_id, told.value.key) == (first.id, "k")
    assert count(connection) == count(connection, "unique_key") == 1
    assert strict.enqueue(2).is_new


def test_raise_leaves_a_callers_transaction_as_it_was(
    app: App, database: str, connection: Connection
) -> None:
    pay(app)
    with psycopg.connect(database) as own:
        with pytest.raises(JobExists):
            pay(app, connection=own, on_conflict="raise")
        assert pay(app, key="other", connection=own, on_conflict="raise").is_new
    assert count(connection) == 2


# many -----------------------------------------------------------------------------------------
