"""What operators type."""

import json
from typing import Any

import psycopg
import pytest
from road import fill, places
from shell import Wsup, complaint, shown
from standing import everywhere, states

Connection = psycopg.Connection[Any]


@pytest.fixture
def jobs(connection: Connection) -> dict[str, int]:
    return everywhere(connection)


def said(wsup: Wsup, *args: object) -> str:
    result = wsup(*args)
    assert result.exit_code == 0, result.output
    return result.output.rstrip("\n")


def test_queues(wsup: Wsup, jobs: dict[str, int]) -> None:
    assert said(wsup, "queues", "pause", "mail") == "wsup: queue mail is paused"
    assert said(wsup, "queues", "pause", "mail") == "wsup: queue mail was paused already"
    lines = said(wsup, "queues", "list").splitlines()
    assert lines[0].split() == [
        "QUEUE", "READY", "WAITING", "BLOCKED", "RUNNING", "SUPERVISORS", "PAUSED", "FAIR",
        "AGEING",
    ]  # fmt: skip
    assert lines[1].split()[:6] == ["mail", "1", "1", "0", "1", "0"]
    assert lines[1].split()[6].startswith("20")
    assert lines[2].split() == ["other", "1", "0", "0", "0", "0", "-", "-", "-"]
    assert [q["name"] for q in json.loads(said(wsup, "queues", "list", "--json"))] == [
        "mail", "other",
    ]  # fmt: skip
    assert said(wsup, "queues", "resume", "mail") == "wsup: queue mail is running"
    assert said(wsup, "queues", "resume", "mail") == "wsup: queue mail was running already"
    assert said(wsup, "queues", "pause", "mial").splitlines() == [
        "wsup: queue mial is paused",
        "wsup: queue mial: no job and no supervisor names it: see wsup queues list",
    ]
    assert "queue=''" in complaint("queues", "pause", "")


def test_retry(wsup: Wsup, jobs: dict[str, int], connection: Connection) -> None:
    chosen = ("--task", "send", "--state", "failed", "--since", "2h")
    assert said(wsup, "jobs", "retry", *chosen, "--dry-run") == "2 jobs would run again"
    assert said(wsup, "jobs", "retry", *chosen, "--dry-run", "--json") == '{\n  "failed": 2\n}'
    assert said(wsup, "jobs", "retry", *chosen) == "2 jobs run again"
    assert said(wsup, "jobs", "retry", *chosen) == "0 jobs run again"
    assert said(wsup, "jobs", "retry", "--error", "ValueError") == "1 jobs run again"
    ids = jobs["cancelled"], jobs["expired"]
    assert said(wsup, "jobs", "retry", *ids, "--dry-run") == "2 jobs would run again"
    assert said(wsup, "jobs", "retry", *ids, "--json").count("ready") == 2
    assert {n for n, s in states(connection, jobs).items() if s == "failed"} == {"another task"}


def test_move(wsup: Wsup, jobs: dict[str, int], connection: Connection) -> None:
    chosen = ("--queue", "mail", "--to", "bulk")
    assert said(wsup, "jobs", "move", *chosen, "--dry-run") == "2 jobs would be moved"
    assert said(wsup, "jobs", "move", *chosen) == "2 jobs moved"
    assert shown(jobs["waiting"])["queue"] == "bulk"
    assert said(wsup, "jobs", "move", jobs["ready"], "--to", "mail").split()[-1] == "moved"
    result = wsup("jobs", "move", jobs["running"], "--to", "bulk")
    assert result.exit_code == 1
    assert "left as they are" in result.stderr
    assert "Missing option '--to'" in complaint("jobs", "move", 1)
    assert "no job is named" in complaint("jobs", "move", "--to", "bulk")
    assert "queue=''" in complaint("jobs", "move", 1, "--to", "")


def test_purge(wsup: Wsup, jobs: dict[str, int], connection: Connection) -> None:
    assert said(wsup, "jobs", "purge", "--before", "5h", "--dry-run") == "1 jobs would be purged"
    assert said(wsup, "jobs", "purge", "--before", "5h") == "1 jobs purged"
    result = wsup("jobs", "purge", jobs["failed"], jobs["ready"], jobs["failed yesterday"])
    assert result.exit_code == 2
    assert result.stdout.split()[2:] == [
        *(str(jobs["failed"]), "purged", str(jobs["ready"]), "ready"),
        *(str(jobs["failed yesterday"]), "-"),
    ]
    assert "--unstarted" in result.stderr
    assert said(wsup, "jobs", "purge", "--queue", "other", "--unstarted") == "1 jobs purged"
    assert places(connection, jobs["elsewhere"]) == []


def test_cancel_by_time(wsup: Wsup, connection: Connection) -> None:
    fill(connection, 3)
    assert said(wsup, "jobs", "cancel", "--before", "1h") == "0 jobs cancelled"
    assert said(wsup, "jobs", "cancel", "--since", "1h", "--dry-run") == "3 jobs would be cancelled"
    assert said(wsup, "jobs", "cancel", "--since", "1h") == "3 jobs cancelled"


def test_failed(wsup: Wsup, jobs: dict[str, int]) -> None:
    lines = said(wsup, "jobs", "failed", "--queue", "mail").splitlines()
    assert lines[0].split() == ["TASK", "ERROR", "JOBS", "FIRST_AT", "LAST_AT", "LAST_JOB"]
    assert [line.split()[:3] for line in lines[1:]] == [
        ["send", "ValueError", "2"],
        ["fetch", "KeyError", "1"],
        ["send", "KeyError", "1"],
    ]
    found = json.loads(said(wsup, "jobs", "failed", "--json", "--error", "KeyError"))
    assert [(row["task"], row["last_job"]) for row in found] == [
        ("fetch", jobs["another task"]),
        ("send", jobs["failed otherwise"]),
    ]


def test_rerun(wsup: Wsup, jobs: dict[str, int]) -> None:
    again = int(said(wsup, "jobs", "rerun", jobs["failed"], "--args", '{"to": 1e400}'))
    assert '"to": 1e400' in said(wsup, "jobs", "show", again, "--json")
    assert shown(again)["options"] == {"rerun_of": jobs["failed"]}
    assert int(said(wsup, "jobs", "rerun", again - 1)) == again + 1
    assert "is running: only a finished job" in complaint("jobs", "rerun", jobs["running"])
    assert "use an object by argument" in complaint("jobs", "rerun", 1, "--args", "[]")
    assert "there is no job 999: see wsup jobs list" in complaint("jobs", "rerun", 999)


@pytest.mark.parametrize(
    ("args", "remedy"),
    [
        (["retry", "--since", "yesterday"], "'yesterday': use 90s, 15m, 2h or 7d ago, or a time"),
        (["retry", "--state", "ready"], "'ready' is not one of 'failed', 'cancelled', 'expired'"),
        (["retry"], "no job is named: give IDs, or a queue, task, state, error or time"),
        (["purge", 1, "--error", "E"], "--error E: job 1 is named by its ID"),
        (["purge", "--state", "ready"], "purge state='ready': it is for jobs that are succeeded"),
        (["failed", "--state", "ready"], "No such option"),
    ],
)
def test_asked_for_wrongly(args: list[object], remedy: str, wsup: Wsup) -> None:
    assert remedy in complaint("jobs", *args)
