"""schedules: what operators look at and change. No supervisor runs: they stay as they are."""

import json
from typing import Any

import psycopg
import pytest
from shell import Wsup, complaint

Connection = psycopg.Connection[Any]

INSERT = """
    INSERT INTO wsup.schedule
        (app, name, task, queue, priority, args, cron, timezone, every, catch_up, next_tick)
    VALUES
        ('a:app', 'nightly', 'report', 'mail', 3, '{"kind": "long"}', '0 3 * * *',
         'Europe/Vienna', NULL, 'last', '2100-01-01 02:00+00'),
        ('a:app', 'twice', 'report', 'mail', 0, '{}', NULL, 'UTC', 0.5, 'all', now()),
        ('b:app', 'twice', 'other', 'default', 0, '{}', NULL, 'UTC', 90, 'none', now())
"""


@pytest.fixture
def schedules(connection: Connection) -> Connection:
    connection.execute(INSERT)
    return connection


def row(connection: Connection, name: str, app: str = "a:app") -> Any:
    return connection.execute(
        "SELECT paused, next_tick FROM wsup.schedule WHERE name = %s AND app = %s", [name, app]
    ).fetchone()


def test_list(wsup: Wsup, schedules: Connection) -> None:
    lines = wsup("schedules", "list").stdout.splitlines()
    assert lines[0].split() == ["NAME", "TASK", "WHEN", "CATCH_UP", "NEXT", "LAST", "APP"]
    assert lines[1].split()[:8] == [
        "nightly",
        "report",
        *["0", "3", "*", "*", "*"],
        "Europe/Vienna",
    ]
    assert lines[2].split()[:5] == ["twice", "report", "every", "500", "ms"]
    assert lines[3].split()[:7] == ["twice", "other", "every", "1", "min", "30", "s"]
    found = json.loads(wsup("schedules", "list", "--json").stdout)
    assert [(each["app"], each["name"]) for each in found] == [
        ("a:app", "nightly"),
        ("a:app", "twice"),
        ("b:app", "twice"),
    ]
    assert found[0]["next_tick"].startswith("2100-01-01")


def test_pause_and_resume(wsup: Wsup, schedules: Connection) -> None:
    paused = wsup("schedules", "pause", "nightly")
    assert (paused.exit_code, paused.stderr) == (0, "wsup: schedule nightly is paused\n")
    assert row(schedules, "nightly") == (True, None)
    assert "paused" in wsup("schedules", "list").stdout
    assert "was paused already" in wsup("schedules", "pause", "nightly").stderr
    assert "is running" in wsup("schedules", "resume", "nightly").stderr
    assert row(schedules, "nightly") == (False, None)


def test_what_runs_already_keeps_its_next_tick(wsup: Wsup, schedules: Connection) -> None:
    before = row(schedules, "nightly")
    assert "was running already" in wsup("schedules", "resume", "nightly").stderr
    assert row(schedules, "nightly") == before
    assert before[1] is not None


def test_trigger(wsup: Wsup, schedules: Connection) -> None:
    before = row(schedules, "nightly")
    job = int(wsup("schedules", "trigger", "nightly").stdout)
    made = schedules.execute(
        "SELECT task, queue, priority, args::text, options->>'schedule',"
        " (options->>'scheduled_for')::timestamptz = enqueued_at"
        "   OR enqueued_at - (options->>'scheduled_for')::timestamptz < interval '1 s'"
        " FROM wsup.job WHERE id = %s",
        [job],
    ).fetchone()
    assert made == ("report", "mail", 3, '{"kind": "long"}', "nightly", True)
    assert row(schedules, "nightly") == before


@pytest.mark.parametrize("verb", ["pause", "resume", "trigger"])
def test_whose_it_is_must_be_clear(wsup: Wsup, schedules: Connection, verb: str) -> None:
    assert complaint("schedules", verb, "daily") == (
        "wsup: schedule daily: there is no such schedule: see wsup schedules list\n"
    )
    assert "several apps have one: name the app: --app a:app or b:app" in complaint(
        "schedules", verb, "twice"
    )
    assert wsup("schedules", verb, "twice", "--app", "b:app").exit_code == 0
    assert "no such schedule" in complaint("schedules", verb, "twice", "--app", "c:app")
