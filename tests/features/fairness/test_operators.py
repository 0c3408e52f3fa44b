"""Queues that become fair and stop being so, jobs that are moved, limits: over every door."""

import json
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from road import settle, succeeded
from shell import Wsup, complaint
from standing_in_turn import fill, ids, left_over, make_fair, standing, state, taken

from wsup import App, TaskError

Connection = psycopg.Connection[Any]


def test_it_becomes_fair_while_jobs_stand_in_line(database: str, connection: Connection) -> None:
    """Until then a key without a limit is a serial one; from then on its jobs run side by side."""
    jobs = fill(connection, 40, "a")
    (row,) = taken(connection)
    make_fair(connection)
    newcomer = fill(connection, 1, "b")
    assert sorted(ids(taken(connection, 2))) == sorted([jobs[1], *newcomer])
    assert ids(taken(connection)) == jobs[2:]
    settle(database, succeeded(row))
    assert left_over(connection) == (0, 0, 0)


def test_it_stops_being_fair_while_jobs_stand_in_line(
    database: str, connection: Connection
) -> None:
    make_fair(connection)
    jobs = fill(connection, 5, "a")
    taken(connection, 1)
    connection.execute("SELECT wsup.set_queue('mail', false)")
    first = taken(connection)  # one had its turn by then; the key lets in another one
    assert set(ids(first)) == {jobs[1], jobs[2]}
    assert taken(connection) == []
    for job in jobs[3:]:
        settle(database, *map(succeeded, first))
        first = taken(connection)
        assert ids(first) == [job]


def test_jobs_without_a_key_stay_where_they_are(connection: Connection) -> None:
    jobs = fill(connection, 3, None)
    make_fair(connection)
    fill(connection, 2, "a")
    assert ids(taken(connection, 3)) == jobs


def test_jobs_are_moved_into_it_and_out_of_it(database: str, connection: Connection) -> None:
    make_fair(connection)
    come = fill(connection, 3, "a", queue="slow") + fill(connection, 1, None, queue="slow")
    taken(connection, 0, queues=["slow"])
    go = fill(connection, 3, "b") + fill(connection, 1, None)
    taken(connection, 0)
    told = connection.execute("SELECT state FROM wsup.move(%s, 'mail')", [come]).fetchall()
    told += connection.execute("SELECT state FROM wsup.move(%s, 'slow')", [go]).fetchall()
    assert set(told) == {("moved",)}
    assert sorted(ids(taken(connection))) == [come[0], come[1], come[2], come[3]]
    rows = taken(connection, queues=["slow"])
    assert sorted(ids(rows)) == [go[0], go[3]]  # there, the key is a serial one
    settle(database, *map(succeeded, rows))
    assert ids(taken(connection, queues=["slow"])) == [go[1]]


def test_a_limit_that_is_set_holds_for_those_in_line(database: str, connection: Connection) -> None:
    make_fair(connection)
    jobs = fill(connection, 6, "a")
    connection.execute("SELECT wsup.set_key_limit('a', 2)")
    rows = taken(connection)
    assert ids(rows) == jobs[:2]
    connection.execute("SELECT wsup.set_key_limit('a', NULL)")
    assert ids(taken(connection)) == jobs[2:]
    settle(database, *map(succeeded, rows))
    assert left_over(connection) == (0, 0, 0)


def test_limits_of_jobs_without_one_do_not_contradict(connection: Connection) -> None:
    make_fair(connection)
    limited = fill(connection, 1, "a", 3)
    free = fill(connection, 2, "a")
    assert sorted(ids(taken(connection))) == sorted(limited + free)


def test_from_the_command_line(wsup: Wsup, connection: Connection) -> None:
    said = wsup("queues", "set", "mail", "--fair", "--ageing", "10m")
    assert said.stderr == "wsup: queue mail is fair, with ageing 0:10:00\n"
    assert "was so already" in wsup("queues", "set", "mail", "--fair").stderr
    fill(connection, 3, "a")
    taken(connection, 0)
    (row,) = json.loads(wsup("queues", "list", "--json").stdout)
    assert (row["ready"], row["blocked"], row["fair"]) == (1, 2, True)
    (head, line) = wsup("queues", "list").stdout.splitlines()
    assert head.split()[-2:] == ["FAIR", "AGEING"]
    assert line.split() == ["mail", "1", "0", "2", "0", "0", "-", "yes", "0:10:00"]
    assert wsup("keys", "list").stdout.splitlines()[1:] == []
    assert wsup("queues", "set", "mail", "--no-fair", "--ageing", "0").exit_code == 0
    assert wsup("queues", "reset", "mail").stderr.endswith("no ageing, and was so already\n")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("set", "mail"), "queue mail: nothing to set: give --fair, --no-fair or --ageing"),
        (("set", "mail", "--ageing", "soon"), "queue 'mail': ageing='soon' won't do: give a time"),
        (("set", "mail", "--ageing", "100ms"), "ageing='100ms' won't do"),
        (("set", "mail", "--ageing", "0.5s"), "ageing='0.5s' won't do"),
        (("set", "", "--fair"), "queue=''"),
    ],
)
def test_what_is_refused(wsup: Wsup, command: tuple[str, ...], words: str) -> None:
    assert words in complaint("queues", *command)


def test_from_python(app: App, connection: Connection) -> None:
    assert app.queue("mail").set(fair=True, ageing=timedelta(minutes=2)) is True
    assert app.queue("mail").set(ageing="2m") is False
    (found,) = app.queues()
    assert (found.fair, found.ageing, found.blocked) == (True, timedelta(minutes=2), 0)
    jobs = fill(connection, 2, "a")
    taken(connection, 0)
    assert (standing(connection), state(connection, *jobs)) == ([jobs[0]], ["ready", "blocked"])
    app.queue("mail").set(fair=False, ageing=0)
    assert app.queues()[0].ageing is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fair": 1}, "queue 'mail': fair=1 won't do: give True or False"),
        ({"ageing": "10 minutes"}, "ageing='10 minutes' won't do: give a time from 1 second"),
        ({"ageing": 0.2}, "ageing=0.2 won't do"),
        ({"ageing": True}, "ageing=True won't do"),
    ],
)
def test_what_python_refuses(app: App, options: dict[str, Any], words: str) -> None:
    with pytest.raises(TaskError, match=words):
        app.queue("mail", **options)
    with pytest.raises(TaskError, match=words):
        app.queue("mail").set(**options)


def test_a_queue_is_declared_once(app: App) -> None:
    app.queue("mail", fair=True)
    app.queue("mail", fair=True)
    app.queue("mail")
    with pytest.raises(TaskError, match="differs from what was said of it before"):
        app.queue("mail", fair=True, ageing="1h")
