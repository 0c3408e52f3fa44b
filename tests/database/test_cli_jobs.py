"""jobs: what operators look at and change."""

import json
import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from shell import Wsup, complaint, shown


def listed(wsup: Wsup, *args: object) -> list[dict[str, Any]]:
    result = wsup("jobs", "list", "--json", *args)
    assert result.exit_code == 0, result.output
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


def ids(wsup: Wsup, *args: object) -> list[int]:
    return [row["id"] for row in listed(wsup, *args)]


# list and show ------------------------------------------------------------------------------------


@pytest.fixture
def placed(database: str, enqueue: Callable[..., int]) -> dict[str, int]:
    """A job in each of the places where one can be; two are running, one on its third attempt."""
    jobs = {
        "succeeded": enqueue("a.good", "--queue", "done"),
        "failed": enqueue("a.bad", "--queue", "done"),
        "running": enqueue("a.run", "--queue", "now"),
        "retried": enqueue("a.run", "--queue", "now"),
        "ready": enqueue("a.good"),
        "waiting": enqueue("a.good", "--delay", 1000),
        "cancelled": enqueue("a.good"),
    }
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO wsup.supervisor (host, pid, version, queues, subworkers, lease)"
            " VALUES ('host1', 1, '1', '{now}', 8, 30)"
        )
        conn.execute("UPDATE wsup.ready SET attempt = 3 WHERE job = %s", [jobs["retried"]])
        conn.execute("SELECT wsup.pull(1, '{now}', 10)")
        conn.execute("SELECT wsup.cancel(%s::bigint[])", [[jobs["cancelled"]]])
        over = [jobs["succeeded"], jobs["failed"]]
        conn.execute("DELETE FROM wsup.ready WHERE job = ANY (%s)", [over])
        conn.execute(
            "INSERT INTO wsup.outcome (job, state, seconds, supervisor, subworker, attempt, result)"
            " VALUES (%s, 'succeeded', 0.25, 1, 3, 1, '{\"ok\": 1e400}'),"
            "        (%s, 'failed', 1.5, 1, 4, 2, NULL)",
            over,
        )
        conn.execute(
            "INSERT INTO wsup.failure (job, attempt, supervisor, subworker, lost, type, message,"
            " traceback) VALUES (%(job)s, 1, 1, NULL, true, 'SupervisorDied', 'it died', NULL),"
            " (%(job)s, 2, 1, 4, false, 'ValueError', E'no \\x1b[31m',"
            " E'Traceback:\\n  File \"x\"\\nValueError')",
            {"job": jobs["failed"]},
        )
    return jobs


def test_list_knows_where_every_job_stands(wsup: Wsup, placed: dict[str, int]) -> None:
    rows = listed(wsup)
    assert [row["id"] for row in rows] == sorted(placed.values(), reverse=True)
    states = {row["id"]: row["state"] for row in rows}
    named = {name: states[job] for name, job in placed.items()}
    assert named == {name: name for name in placed} | {"retried": "running"}
    attempts = {row["id"]: row["attempt"] for row in rows}
    assert attempts[placed["retried"]] == 3
    assert attempts[placed["running"]] == 1


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (["--state", "ready"], ["ready"]),
        (["--state", "waiting"], ["waiting"]),
        (["--state", "running"], ["retried", "running"]),
        (["--state", "succeeded"], ["succeeded"]),
        (["--state", "cancelled"], ["cancelled"]),
        (["--state", "expired"], []),
        (["--queue", "now"], ["retried", "running"]),
        (["--queue", "done", "--state", "failed"], ["failed"]),
        (["--task", "a.good"], ["cancelled", "waiting", "ready", "succeeded"]),
        (["--task", "a.good", "--queue", "done"], ["succeeded"]),
        (["--task", "a.run", "--limit", "1"], ["retried"]),
        (["--task", "a.none"], []),
        (["--limit", "2"], ["cancelled", "waiting"]),
    ],
)
def test_list_filters(
    filters: list[str], names: list[str], wsup: Wsup, placed: dict[str, int]
) -> None:
    assert ids(wsup, *filters) == [placed[name] for name in names]


def test_list_for_people(wsup: Wsup, placed: dict[str, int]) -> None:
    lines = wsup("jobs", "list", "--queue", "done").stdout.splitlines()
    assert lines[0].split() == [
        *("ID", "STATE", "QUEUE", "TASK", "ATTEMPT", "PRIORITY", "ENQUEUED_AT", "AT", "SECONDS")
    ]
    assert len(lines) == 3
    assert lines[1].split()[:5] == [str(placed["failed"]), "failed", "done", "a.bad", "2"]
    assert lines[1].endswith(" 1.5")


def test_times_that_python_does_not_know(database: str, wsup: Wsup) -> None:
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("SELECT wsup.enqueue('a.b', run_at => 'infinity')")
    assert listed(wsup)[0]["at"] == "infinity"
    assert wsup("jobs", "list").exit_code == 0


def test_show_for_people(wsup: Wsup, placed: dict[str, int]) -> None:
    text = wsup("jobs", "show", placed["failed"]).stdout
    for fact in ("state +failed", "seconds +1.5 s", "attempt +2", "finished at +2.*"):
        assert re.search(f"^{fact}$", text, re.MULTILINE)
    lost, raised = text.split("\n\n")[1:]
    assert "attempt 1 failed" in lost
    assert "on supervisor 1, lost with its host\nSupervisorDied: it died" in lost
    assert r"on supervisor 1, subworker 4" in raised
    assert 'ValueError: no \\x1b[31m\nTraceback:\n  File "x"\nValueError' in raised


def test_show_a_running_and_a_finished_job(wsup: Wsup, placed: dict[str, int]) -> None:
    running = shown(placed["running"])
    assert (running["state"], running["held_by"], running["held_on"]) == ("running", 1, "host1")
    text = wsup("jobs", "show", placed["succeeded"], "--json").stdout
    assert '"ok": 1e400' in text  # as it is, not as a float
    assert json.loads(text)["failures"] == []


def test_show_no_job(wsup: Wsup) -> None:
    result = wsup("jobs", "show", 99)
    assert result.exit_code == 2
    assert result.stderr == "wsup: job 99: there is no such job: see wsup jobs list\n"


# retry and cancel ---------------------------------------------------------------------------------


def test_retry_runs_failed_and_cancelled_jobs_again(wsup: Wsup, placed: dict[str, int]) -> None:
    result = wsup("jobs", "retry", placed["failed"], placed["cancelled"], placed["failed"])
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == [
        *("JOB", "STATE", str(placed["failed"]), "ready", str(placed["cancelled"]), "ready")
    ]
    assert {row["id"]: row["attempt"] for row in listed(wsup, "--state", "ready")} == {
        placed["ready"]: 1,
        placed["failed"]: 3,
        placed["cancelled"]: 2,
    }


def test_retry_leaves_others_and_says_so(wsup: Wsup, placed: dict[str, int]) -> None:
    result = wsup("jobs", "retry", placed["succeeded"], placed["failed"])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"wsup: left as they are: {placed['succeeded']}: only failed")
    assert shown(placed["failed"])["state"] == "ready"


def test_cancel_what_has_not_started(wsup: Wsup, placed: dict[str, int]) -> None:
    result = wsup("jobs", "cancel", "--json", placed["ready"], placed["waiting"])
    assert result.exit_code == 0, result.output
    assert [row["state"] for row in json.loads(result.stdout)] == ["cancelled", "cancelled"]
    assert shown(placed["waiting"])["reason"] == "cancelled by request"


def test_cancel_what_runs_and_what_has_ended(wsup: Wsup, placed: dict[str, int]) -> None:
    result = wsup("jobs", "cancel", "--kill", placed["running"], placed["ready"])
    assert result.exit_code == 0, result.output
    told = [str(placed["running"]), "cancelling", str(placed["ready"]), "cancelled"]
    assert result.stdout.split() == ["JOB", "STATE", *told]
    result = wsup("jobs", "cancel", placed["failed"])
    assert result.exit_code == 1
    assert result.stderr == f"wsup: left as they are: {placed['failed']}: they had ended\n"


@pytest.mark.parametrize(
    ("filters", "cancelled", "cancelling"),
    [
        (["--queue", "now"], [], ["running", "retried"]),
        (["--task", "a.good"], ["ready", "waiting"], []),
        (["--task", "a.good", "--state", "waiting"], ["waiting"], []),
        (["--task", "a.good", "--state", "running"], [], []),
        (["--task", "a.run", "--queue", "now"], [], ["running", "retried"]),
        (["--task", "a.run", "--queue", "done"], [], []),
    ],
)
def test_cancel_by_queue_and_task(
    filters: list[str],
    cancelled: list[str],
    cancelling: list[str],
    wsup: Wsup,
    placed: dict[str, int],
) -> None:
    before = dict.fromkeys(placed.values())
    for row in listed(wsup):
        before[row["id"]] = row["state"]
    result = wsup("jobs", "cancel", "--json", *filters)
    assert result.exit_code == 0, result.output
    counts = {"cancelled": len(cancelled), "cancelling": len(cancelling)}
    assert json.loads(result.stdout) == {state: n for state, n in counts.items() if n}
    changed = before | {placed[name]: "cancelled" for name in cancelled}
    assert {row["id"]: row["state"] for row in listed(wsup)} == changed


def test_cancel_tells_how_many(wsup: Wsup, placed: dict[str, int]) -> None:
    assert wsup("jobs", "cancel", "--task", "a.good").stdout == "2 jobs cancelled\n"
    told = wsup("jobs", "cancel", "--queue", "now").stdout
    assert told == "0 jobs cancelled, 2 more are being cancelled\n"


@pytest.mark.parametrize(
    ("args", "remedy"),
    [
        ([], "no job is named: give IDs, or a queue, task, state, error or time"),
        ([1, "--queue", "now"], "--queue now: job 1 is named by its ID: leave one of them out"),
        (["x"], "'x' is not a valid"),
        ([0], "0 is not in the range"),
        (["--queue", "now", "--state", "failed"], "'failed' is not one of 'ready', 'waiting'"),
    ],
)
def test_cancel_asked_for_wrongly(args: list[object], remedy: str, wsup: Wsup) -> None:
    assert remedy in complaint("jobs", "cancel", *args)


def test_unknown_jobs_are_named(wsup: Wsup, placed: dict[str, int]) -> None:
    for verb in ("retry", "cancel"):
        result = wsup("jobs", verb, 99)
        assert result.exit_code == 2
        assert result.stderr == "wsup: no such job: 99: see wsup jobs list\n"
        assert wsup("jobs", verb).exit_code == 2
