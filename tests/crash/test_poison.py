"""Results and errors that nobody can store, print or believe: each hurts its own job only."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from running import Supervisor, enqueue, failures, finished, result

Connection = psycopg.Connection[Any]

#: What Python's JSON can't carry, and what PostgreSQL won't take: by the error's type and message.
REFUSED = {
    "surrogate": ("ResultError", "holds a lone surrogate"),
    "nan": ("ResultError", "JSON has no number nan"),
    "infinity": ("ResultError", "JSON has no number -inf"),
    "deep": ("ResultError", "nested too deeply"),
    "object": ("ResultError", "object can't be encoded as JSON"),
    "not json": ("ResultRefused", "invalid input syntax for type json"),
    "not utf-8": ("ResultRefused", "invalid byte sequence"),
    "raw nul": ("ResultRefused", "invalid byte sequence"),
    "deep json": ("ResultRefused", "stack depth limit exceeded"),
}
#: What was raised, and the type that is recorded for it.
ERRORS = {
    "base": "BaseException",
    "exit": "SystemExit",
    "interrupt": "KeyboardInterrupt",
    "generator": "GeneratorExit",
    "cancelled": "CancelledError",
    "unprintable": "Unprintable",
    "nameless": "Nameless",
    "surrogates": "Exception",
    "empty snooze": "AttributeError",
    "odd retry": "ValueError",
    "endless snooze": "ValueError",
    "endless retry": "ValueError",
    "no wait": "ValueError",
    "liar": "RuntimeError",
}


@pytest.fixture
def mixed(make_supervisor: Callable[..., Supervisor]) -> Supervisor:
    return make_supervisor("--subworkers", "2", app="hostile:both").start()


def test_a_poisonous_result_fails_its_own_job_only(
    mixed: Supervisor, connection: Connection
) -> None:
    pids = mixed.subworker_pids()
    good, poisonous = [], {}
    with connection.transaction():
        for what in REFUSED:
            good += [enqueue(connection, "here") for _ in range(10)]
            poisonous[what] = enqueue(connection, "give", what=what)
    assert set(finished(connection, *good)) == {"succeeded"}
    assert set(finished(connection, *poisonous.values())) == {"failed"}
    for what, job in poisonous.items():
        ((attempt, kind, message),) = failures(connection, job)
        assert (attempt, kind) == (1, REFUSED[what][0]), what
        assert REFUSED[what][1] in message
    assert {result(connection, job)["attempt"] for job in good} == {1}
    assert mixed.subworker_pids() == pids


def test_results_that_only_jsonb_would_refuse_are_stored(
    mixed: Supervisor, connection: Connection
) -> None:
    stored = {}
    for what in ("nul", "huge number", "escaped surrogate"):
        job = enqueue(connection, "give", what=what)
        assert finished(connection, job) == ["succeeded"], failures(connection, job)
        row = connection.execute(
            "SELECT result::text FROM wsup.outcome WHERE job = %s", [job]
        ).fetchone()
        stored[what] = row[0] if row else None
    assert stored == {
        "nul": '"a\\u0000b"',
        "huge number": "1e200000",
        "escaped surrogate": '"\\ud800"',
    }


def test_whatever_is_raised_is_told(mixed: Supervisor, connection: Connection) -> None:
    pids = mixed.subworker_pids()
    with connection.transaction():
        jobs = {
            (task, how): enqueue(connection, task, how=how)
            for task in ("fail", "fail_async")
            for how in ERRORS
        }
    assert set(finished(connection, *jobs.values())) == {"failed"}
    for (task, how), job in jobs.items():
        recorded = [kind for _, kind, _ in failures(connection, job)]
        assert recorded == [ERRORS[how]], (task, how, failures(connection, job))
    assert mixed.subworker_pids() == pids


@pytest.mark.parametrize("args", ['{"x": 1e200000}', r'{"x": "\u0000"}', r'{"x": "\ud800"}'])
def test_arguments_that_jsonb_refuses_never_become_a_job(connection: Connection, args: str) -> None:
    with pytest.raises(psycopg.DataError):
        # Of no type yet: the function's own decides.
        connection.execute("SELECT wsup.enqueue('here', %s)", [args])
    assert connection.execute("SELECT count(*) FROM wsup.job").fetchone() == (0,)


def test_options_that_nobody_can_mean(mixed: Supervisor, connection: Connection) -> None:
    """The longest time-out that SQL can give is one; what else is in the table fails its job."""
    pids = mixed.subworker_pids()
    row = connection.execute("SELECT wsup.enqueue('here', timeout => 3e38)").fetchone()
    assert row is not None
    assert result(connection, row[0])["attempt"] == 1
    jobs = []
    for options in ('{"retries": 99999}', '{"timeout": -1}', '{"timeout": "x"}', "[]", "1"):
        for task in ("here", "fail_async"):
            row = connection.execute(
                "INSERT INTO wsup.job (priority, queue, task, args, options)"
                " VALUES (0, 'default', %s, '{}', %s::json) RETURNING id",
                [task, options],
            ).fetchone()
            assert row is not None
            jobs.append(row[0])
    assert set(finished(connection, *jobs)) == {"failed"}
    assert {failures(connection, job)[0][1] for job in jobs} == {"ValidationError"}
    assert mixed.subworker_pids() == pids


def test_arguments_that_only_json_takes_fail_the_attempt(
    mixed: Supervisor, connection: Connection
) -> None:
    """Whoever inserts into the table itself may give anything that is JSON."""
    pids = mixed.subworker_pids()
    jobs = []
    for args in ('{"how": 1e200000}', r'{"how": "\ud800"}', "[1]", '"x"', "null"):
        row = connection.execute(
            "INSERT INTO wsup.job (priority, queue, task, args)"
            " VALUES (0, 'default', 'mess', %s::json) RETURNING id",
            [args],
        ).fetchone()
        assert row is not None
        jobs.append(row[0])
    assert set(finished(connection, *jobs)) == {"failed"}
    assert {failures(connection, job)[0][1] for job in jobs} == {"ArgumentsError"}
    assert mixed.subworker_pids() == pids
