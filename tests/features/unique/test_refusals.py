"""Unique keys that can't be, told in one line at the call."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from roles import grant, roles_on
from shell import complaint
from stored import count

from wsup import App, ArgumentsError, TaskError

Connection = psycopg.Connection[Any]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"unique_key": ""}, "unique_key='' won't do: give 1 to 200 printable"),
        ({"unique_key": "a\0"}, "unique_key='a\\x00' won't do"),
        ({"unique_key": "x" * 201}, "won't do: give 1 to 200 printable"),
        ({"unique_key": 7}, "unique_key=7 won't do"),
        ({"unique_key": "k", "on_conflict": "ignore"}, "give 'skip', 'replace' or 'raise'"),
        ({"unique_key": "k", "unique_for": 0}, "unique_for=0 won't do: give seconds above 0"),
        ({"unique_key": "k", "unique_for": float("nan")}, "unique_for=nan won't do"),
        ({"unique_for": 60}, "unique_for mean nothing without a unique_key"),
        ({"on_conflict": "raise"}, "on_conflict and unique_for mean nothing without"),
    ],
)
def test_options(app: App, options: dict[str, Any], told: str) -> None:
    with pytest.raises(TaskError, match=r"^task pay: ") as refusal:
        app.tasks["pay"].options(**options)
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_what_a_function_returns(app: App, connection: Connection) -> None:
    bad = app.tasks["pay"].options(unique_key=lambda order: order or "k")
    with pytest.raises(ArgumentsError, match=r"^task pay: unique_key\(…\) returned 3: give 1 to"):
        bad.enqueue(3)
    with pytest.raises(ArgumentsError, match=r"^item 1: task pay: unique_key"):
        bad.enqueue_many([(0,), (3,)])
    assert count(connection) == 0


def test_arguments_are_checked_before_they_make_a_key(app: App) -> None:
    keyed = app.tasks["pay"].options(unique_key=lambda order: f"k{order + 1}")
    with pytest.raises(ArgumentsError, match="argument 'order'"):
        keyed.enqueue("one")
    with pytest.raises(ArgumentsError, match=r"item 1: .*argument 'order'"):
        keyed.enqueue_many([(1,), ("one",)])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("unique_key => ''", "unique_key of 0 characters: give 1 to 200"),
        ("unique_key => repeat('x', 201)", "unique_key of 201 characters: give 1 to 200"),
        ("unique_key => 'k', on_conflict => 'ignore'", "ignore is none of skip, replace, raise"),
        ("unique_key => 'k', on_conflict => NULL", "is none of skip, replace, raise"),
        ("unique_key => 'k', unique_for => '0 s'", "unique_for 00:00:00 is not above 0"),
        ("unique_for => '1 h'", "mean nothing without a unique_key"),
        ("on_conflict => 'raise'", "mean nothing without a unique_key"),
    ],
)
def test_in_sql(connection: Connection, given: str, told: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue) as refusal:
        connection.execute(f"SELECT wsup.enqueue('pay', {given})")
    assert told in str(refusal.value)
    assert count(connection) == 0


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--unique-key", ""], "unique_key of 0 characters"),
        (["--unique-for", "60"], "mean nothing without a unique_key"),
        (["--unique-key", "k", "--unique-for", "0"], "--unique-for"),
        (["--unique-key", "k", "--on-conflict", "ignore"], "--on-conflict"),
    ],
)
def test_on_the_command_line(wsup: Callable[..., Any], flags: list[str], told: str) -> None:
    assert told in complaint("enqueue", "pay", *flags)


@pytest.fixture(scope="module")
def _roles(server: str) -> Iterator[None]:
    with roles_on(server):
        yield


@pytest.mark.usefixtures("_roles")
def test_who_may_enqueue_may_replace_and_nobody_else(database: str, connection: Connection) -> None:
    enqueue = """SELECT wsup.enqueue('pay', unique_key => 'k', on_conflict => 'replace',
                                     priority => %s)"""
    dsns = grant(database)
    refused = pytest.raises(psycopg.errors.InsufficientPrivilege)
    with psycopg.connect(dsns["enqueue"], autocommit=True) as own:
        jobs = {own.execute(enqueue, [n]).fetchone() for n in range(2)}
        assert len(jobs) == 1
        with refused:
            own.execute("SELECT * FROM wsup.unique_key")
    for kind in ("run", "status", "read", "cancel"):
        with psycopg.connect(dsns[kind]) as other, refused:
            other.execute(enqueue, [3])
    assert connection.execute("SELECT priority FROM wsup.job").fetchall() == [(1,)]
