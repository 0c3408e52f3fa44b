"""Limits by every door: the code, Python, SQL, the command line; and what is refused."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from gates import fill, ids, limit, taken
from road import pull, settle, succeeded, with_source
from roles import grant, roles_on
from shell import Wsup, complaint, shown

from wsup import App
from wsup.errors import TaskError
from wsup.limits import Limit
from wsup.sql.answers import Pull, subscribed
from wsup.sql.source import PostgresSource
from wsup.subworkers.declared import LimitInfo

Connection = psycopg.Connection[Any]


def define(database: str, *limits: LimitInfo, app: str = "shop:app") -> list[tuple[str, str, str]]:
    return with_source(database, lambda source: source.limits.define(app, limits))


def in_force(app: App) -> list[tuple[object, ...]]:
    return [(row.kind, row.name, row[2:6], row.by_hand) for row in app.limits_in_force()]


@pytest.fixture
def shop(database: str) -> Iterator[App]:
    """What an app's code may say."""
    app = App(database)

    @app.task(name="send", max_running=20, per_host=2, rate="100/minute", burst=10)
    def send() -> None: ...

    @app.task(name="plain")
    def plain() -> None: ...

    app.limit(queue="mail", max_running=5)
    app.limit(key="smtp", rate="2.5/second")
    yield app
    app.close()


def test_what_the_code_says_goes_until_it_says_no_more(shop: App, database: str) -> None:
    assert shop.limits == {
        ("task", "send"): Limit(20, 2, "100/minute", 10),
        ("queue", "mail"): Limit(5),
        ("key", "smtp"): Limit(rate="2.5/second"),
    }
    said = [limit.info(kind, name) for (kind, name), limit in shop.limits.items()]
    assert [change for *_, change in define(database, *said)] == ["set"] * 3
    assert in_force(shop) == [
        ("key", "smtp", (None, None, "2.5/second", 2), False),
        ("queue", "mail", (5, None, None, None), False),
        ("task", "send", (20, 2, "100/minute", 10), False),
    ]
    assert define(database, *said) == []
    assert define(database, app="other:app") == []
    assert define(database, *said[:1]) == [
        ("key", "smtp", "lifted"),
        ("queue", "mail", "lifted"),
    ]
    assert [row[:2] for row in in_force(shop)] == [("task", "send")]


def test_by_hand_goes_before_the_code(shop: App, database: str) -> None:
    code = Limit(max_running=3).info("queue", "mail")
    define(database, code)
    shop.set_limit(queue="mail", max_running=7, rate="1/hour")
    assert in_force(shop) == [("queue", "mail", (7, None, "1/hour", 1), True)]
    assert define(database, code) == []
    assert define(database) == []
    assert in_force(shop) == [("queue", "mail", (7, None, "1/hour", 1), True)]
    define(database, code)
    shop.reset_limit(queue="mail")
    assert in_force(shop) == [("queue", "mail", (3, None, None, None), False)]
    asyncio.run(shop.aset_limit(queue="mail"))
    assert in_force(shop) == [("queue", "mail", (None,) * 4, True)]
    asyncio.run(shop.areset_limit(queue="mail"))
    define(database)
    assert asyncio.run(shop.alimits_in_force()) == []


def test_on_the_command_line(wsup: Wsup, connection: Connection, database: str) -> None:
    found = wsup("limits", "set", "task", "send", "--max-running", 1, "--rate", "9/second")
    assert found.stderr == "wsup: task send: max_running 1, rate 9/second\n"
    jobs = fill(connection, 3)
    (row,) = taken(connection)
    (head, line) = wsup("limits", "list").stdout.splitlines()
    assert head.split() == [
        *("KIND", "NAME", "MAX_RUNNING", "PER_HOST", "RATE", "BURST", "TURNS", "BLOCKED")
    ]
    assert line.split() == ["task*", "send", "1", "-", "9/second", "9", "1", "2"]
    (seen,) = json.loads(wsup("limits", "list", "--json").stdout)
    assert (seen["turns"], seen["blocked"]) == (1, 2)
    why = shown(jobs[2])
    assert (why["state"], why["turns_held_by"], why["jobs_before"]) == ("blocked", jobs[:1], 1)
    assert why["limit"] == "task send: at most 1 at once, at most 9/second, burst 9"
    found = wsup("jobs", "list", "--state", "blocked", "--json")
    assert [row["id"] for row in json.loads(found.stdout)] == jobs[:0:-1]
    assert wsup("keys", "list", "--json").stdout == "[]\n"
    (queue,) = json.loads(wsup("queues", "list", "--json").stdout)
    assert (queue["name"], queue["running"]) == ("default", 1)
    assert wsup("limits", "set", "task", "send", "--none").stderr == "wsup: task send: no limit\n"
    assert ids(taken(connection)) == jobs[1:]
    assert "those of the code" in wsup("limits", "reset", "task", "send").stderr
    assert wsup("limits", "list", "--json").stdout == "[]\n"
    settle(database, succeeded(row))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"max_running": 0}, "task t: max_running=0 won't do: give an integer from 1 to 32767"),
        ({"max_running": True}, "max_running=True won't do"),
        ({"per_host": 0}, "per_host=0 won't do: give an integer"),
        ({"per_host": 3, "max_running": 2}, "per_host=3 is more than max_running=2, of all hosts"),
        ({"rate": "100/fortnight"}, "rate='100/fortnight' won't do: give so many a second, minute"),
        ({"rate": "0/second"}, "rate='0/second' won't do"),
        ({"rate": 5}, "rate=5 won't do"),
        ({"rate": "5/hour", "burst": 0}, "burst=0 won't do: give an integer from 1 on"),
        ({"burst": 3}, "burst=3 means nothing without a rate"),
    ],
)
def test_what_a_task_can_not_say(given: dict[str, Any], words: str) -> None:
    with pytest.raises(TaskError, match=r"^task t: [^\n]+$") as caught:
        App().task(name="t", **given)(lambda: None)
    assert words in str(caught.value)


def test_what_a_queue_or_a_key_can_not_say() -> None:
    app = App()
    with pytest.raises(TaskError, match="name one of task, queue and key"):
        app.limit(rate="1/second")
    with pytest.raises(TaskError, match="name one of task, queue and key"):
        app.limit(queue="a", key="b", rate="1/second")
    with pytest.raises(TaskError, match=r"key a: how many .* says its key_limit"):
        app.limit(key="a", max_running=1)
    with pytest.raises(TaskError, match=r"queue a: per_host=1 .* for tasks"):
        app.set_limit(queue="a", per_host=1)
    with pytest.raises(TaskError, match="queue '': give a name"):
        app.limit(queue="", max_running=1)
    with pytest.raises(TypeError, match="max_runing"):
        app.task(name="t", max_runing=1)(lambda: None)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("host", {"max_running": 1}, "give a task, a queue or a key"),
        ("task", {"max_running": 0}, "max_running 0 is not between 1 and 32767"),
        ("task", {"per_host": 0}, "per_host 0 is not between"),
        ("task", {"per_host": 3, "max_running": 2}, "per_host 3 is more than max_running 2"),
        ("task", {"rate": "100/fortnight"}, "rate '100/fortnight' is none: give so many a second"),
        ("task", {"rate": "0/day"}, "rate '0/day' is none"),
        ("task", {"rate": "1/day", "burst": 0}, "burst 0 is not at least 1"),
        ("task", {"burst": 1}, "burst 1 means nothing without a rate"),
        ("key", {"max_running": 1}, "says its key_limit"),
        ("queue", {"per_host": 1}, "per_host is for tasks"),
    ],
)
def test_what_sql_refuses(
    connection: Connection, kind: str, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="set_limit: ") as caught:
        limit(connection, kind, "a", **given)
    assert words in str(caught.value)


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("task", "a", "--max-running", 0), "max_running=0 won't do: give an integer"),
        (("task", "a", "--rate", "9"), "rate='9' won't do: give so many a second"),
        (("task", "a"), "give --max-running, --per-host or --rate; or --none"),
        (("task", "a", "--none", "--per-host", 1), "give --max-running"),
        (("host", "a", "--per-host", 1), "'host' is not one of"),
    ],
)
def test_what_the_command_line_refuses(wsup: Wsup, command: tuple[object, ...], words: str) -> None:
    assert wsup is not None
    assert words in complaint("limits", "set", *command)


def test_a_key_that_would_be_taken_for_a_gate_is_refused(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="must have 1 to 200"):
        connection.execute("SELECT wsup.enqueue('send', key => E'\\0053send')")


@pytest.fixture
def roles(server: str) -> Iterator[None]:
    with roles_on(server):
        yield


@pytest.mark.usefixtures("roles")
def test_the_roles_suffice(database: str, connection: Connection) -> None:
    dsns = grant(database)
    fill(connection, 2)

    async def run(source: PostgresSource) -> list[int]:
        code = Limit(max_running=1, rate="1000/second", per_host=1).info("task", "send")
        assert await source.limits.define("shop:app", [code])
        assert await source.limits.per_host() == {"send": 1}
        streams = Pull([*subscribed(["default"], ["send"])], 9)
        (row,) = (await source.turn([], streams)).rows
        (after,) = (await source.turn([succeeded(row)], streams, promote=9)).rows
        return [row[1], after[1]]

    assert with_source(dsns["run"], run) == [1, 2]
    with psycopg.connect(dsns["enqueue"]) as writer:
        writer.execute("SELECT wsup.enqueue('send')")
    with psycopg.connect(dsns["status"]) as reader:
        assert reader.execute("SELECT wsup.status(3)").fetchone() == ("blocked",)
        assert reader.execute("SELECT name FROM wsup.limits").fetchall() == [("send",)]


def test_a_stream_is_paused_moved_and_cancelled_with_its_queue(connection: Connection) -> None:
    limit(connection, "task", "send", per_host=1)
    jobs = fill(connection, 4)
    streams = subscribed(["default", "other"], ["send"])
    assert connection.execute("SELECT wsup.pause_queue('default')").fetchone() == (True,)
    assert pull(connection, 1, streams) == []
    look = "SELECT ready FROM wsup.look(%s)"
    assert connection.execute(look, [streams]).fetchone() == (False,)
    connection.execute("SELECT wsup.move(%s, 'other')", [jobs[:1]])
    assert ids(pull(connection, 1, streams)) == jobs[:1]
    assert connection.execute("SELECT state FROM wsup.cancel(%s)", [[jobs[1]]]).fetchone() == (
        "cancelled",
    )
    connection.execute("SELECT wsup.resume_queue('default')")
    found = connection.execute(
        "SELECT job FROM wsup.find_jobs(queue => 'default', states => '{ready}')"
    )
    assert [row[0] for row in found] == [jobs[3], jobs[2]]
    assert connection.execute("SELECT wsup.status(%s)", [jobs[2]]).fetchone() == ("ready",)
    connection.execute("SELECT wsup.purge(%s, true)", [[jobs[2]]])
    # Those of a task that has no such limit any more stand with the others again.
    limit(connection, "task", "send")
    assert ids(taken(connection)) == [jobs[3]]
    assert connection.execute("SELECT wsup.rescue(1, 5)").fetchone() == (2,)
    limit(connection, "task", "send", per_host=1)
    assert sorted(ids(pull(connection, 9, streams))) == [jobs[0], jobs[3]]
    connection.execute("SELECT wsup.rescue(1, 5)")
    assert taken(connection) == []
