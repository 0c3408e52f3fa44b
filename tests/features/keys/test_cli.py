"""Keys on the command line."""

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from road import pull
from shell import Wsup, complaint, shown

from wsup.sql.answers import subscribed

Connection = psycopg.Connection[Any]
Enqueue = Callable[..., int]


@pytest.fixture
def line(enqueue: Enqueue, connection: Connection) -> list[int]:
    """One job that has a turn, and two behind it; and one with a turn of a key of its own."""
    jobs = [enqueue("noop", "--key", "a", "--key-limit", 1) for _ in range(3)]
    jobs.append(enqueue("noop", "--key", "b"))
    pull(connection, 10, subscribed(["default"]))
    return jobs


def test_list_set_and_reset(wsup: Wsup, line: list[int]) -> None:
    (head, *rows) = wsup("keys", "list").stdout.splitlines()
    assert head.split() == ["KEY", "LIMIT", "TURNS", "FIRST", "BLOCKED"]
    assert [row.split() for row in rows] == [
        ["a", "1", "1", str(line[0]), "2"],
        ["b", "1", "1", str(line[3]), "0"],
    ]
    assert wsup("keys", "set", "a", 3).exit_code == 0
    (found,) = json.loads(wsup("keys", "list", "--key", "a", "--json").stdout)
    assert (found["key_limit"], found["is_set"], found["blocked"]) == (3, True, 2)
    assert "3*" in wsup("keys", "list").stdout
    assert wsup("keys", "reset", "a").exit_code == 0
    (found,) = json.loads(wsup("keys", "list", "--key", "a", "--json").stdout)
    assert (found["key_limit"], found["is_set"]) == (1, False)


def test_why_a_job_is_blocked(wsup: Wsup, line: list[int]) -> None:
    row = shown(line[2])
    assert (row["state"], row["key"], row["key_limit"]) == ("blocked", "a", 1)
    assert (row["turns_held_by"], row["jobs_before"]) == ([line[0]], 1)
    lines = wsup("jobs", "show", line[2]).stdout.splitlines()
    assert f"turns held by  [{line[0]}]" in lines


def test_jobs_by_their_key(wsup: Wsup, line: list[int]) -> None:
    def ids(*filters: str) -> list[int]:
        return [row["id"] for row in json.loads(wsup("jobs", "list", "--json", *filters).stdout)]

    assert ids("--key", "a") == line[2::-1]
    assert ids("--state", "blocked") == [line[2], line[1]]
    assert ids("--key", "b", "--state", "running") == [line[3]]
    found = wsup("jobs", "cancel", "--key", "a", "--state", "blocked")
    assert found.stdout == "2 jobs cancelled\n"
    assert ids("--key", "a", "--state", "cancelled") == [line[2], line[1]]
    found = wsup("jobs", "cancel", "--key", "a")
    assert found.stdout == "0 jobs cancelled, 1 more are being cancelled\n"


def test_marks_are_no_jobs(wsup: Wsup, enqueue: Enqueue) -> None:
    job = enqueue("noop", "--key", "a")
    (row,) = json.loads(wsup("jobs", "list", "--json").stdout)
    assert (row["id"], row["state"]) == (job, "blocked")
    assert json.loads(wsup("jobs", "list", "--json", "--state", "ready").stdout) == []


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("enqueue", "noop", "--key", ""), "key '' must have 1 to 200 characters"),
        (("enqueue", "noop", "--key", "a", "--key-limit", 0), "0 is not in the range 1<=x<=32767"),
        (("enqueue", "noop", "--key-limit", 2), "key_limit 2 limits nothing: give a key"),
        (("enqueue", "noop", "--key", "a", "--key-limit", 2), "key_limit 2 contradicts its other"),
        (("keys", "set", "a", 0), "0 is not in the range 1<=x<=32767"),
        (("keys", "set", "", 1), "key '': give a name"),
        (("jobs", "cancel", 1, "--key", "a"), "--key a: job 1 is named by its ID"),
    ],
)
def test_what_is_refused(line: list[int], command: tuple[object, ...], words: str) -> None:
    assert words in complaint(*command)
