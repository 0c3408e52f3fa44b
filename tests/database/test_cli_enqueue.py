"""enqueue: jobs asked for from a shell, without importing any task."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from shell import Wsup, shown


def test_enqueue_prints_the_id_of_a_ready_job(wsup: Wsup, enqueue: Callable[..., int]) -> None:
    job = enqueue("shop.tasks.mail", '{"to": "a@b", "size": 12345678901234567890.5}')
    row = shown(job)
    assert (row["state"], row["task"], row["queue"]) == ("ready", "shop.tasks.mail", "default")
    assert row["priority"] == 0
    assert row["options"] is None
    assert row["args"] == {"to": "a@b", "size": 12345678901234567890.5}


def test_enqueue_with_every_option(wsup: Wsup, enqueue: Callable[..., int]) -> None:
    options = ("--queue", "q", "--priority", -5, "--delay", 100, "--retries", 3, "--timeout", 1.5)
    row = shown(enqueue("a.b", *options))
    assert (row["state"], row["queue"], row["priority"]) == ("waiting", "q", -5)
    assert row["options"] == {"retries": 3, "timeout": 1.5}
    wait = datetime.fromisoformat(row["due_at"]) - datetime.fromisoformat(row["enqueued_at"])
    assert timedelta(seconds=99) < wait < timedelta(seconds=101)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("2100-01-31T08:00+02:00", "2100-01-31T06:00:00+00:00"),
        ("2100-01-31T08:00Z", "2100-01-31T08:00:00+00:00"),
        ("2100-01-31", "2100-01-31T00:00:00"),
    ],
)
def test_a_time_without_a_zone_is_local(
    given: str, meant: str, wsup: Wsup, enqueue: Callable[..., int]
) -> None:
    due = datetime.fromisoformat(shown(enqueue("a.b", "--run-at", given))["due_at"])
    assert due == datetime.fromisoformat(meant).astimezone()


def test_args_can_come_from_stdin(wsup: Wsup) -> None:
    job = int(wsup("enqueue", "a.b", "-", stdin='{"x": "é"}\n').stdout)
    assert shown(job)["args"] == {"x": "é"}


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["a.b", "[1]"], "JSON '[1]': use an object"),
        (["a.b", '{"x": '], "JSON '{\"x\": ': Input data was truncated"),
        (["a.b", '{"x": NaN}'], "JSON"),
        (["a.b", r'{"x": "\u0000"}'], r"enqueue 'a.b': unsupported Unicode escape sequence"),
        (["", "{}"], "enqueue '': task and queue must be named"),
        (["a.b", "--queue", ""], "task and queue must be named"),
        (["a.b", "--run-at", "tomorrow"], "--run-at tomorrow: use a time like"),
        (["a.b", "--run-at", "2100-01-01", "--delay", "1"], "give run_at or delay, not both"),
        (["a.b", "--delay", "inf"], "--delay"),
        (["a.b", "--delay", "nan"], "enqueue 'a.b'"),
        (["a.b", "--delay", "-1"], "--delay"),
        (["a.b", "--timeout", "0"], "--timeout"),
        (["a.b", "--priority", "40000"], "--priority"),
        (["a.b", "--retries", "-1"], "--retries"),
        (["a.\udcff"], "is not UTF-8"),
        (["a.b", json.dumps({"x": "y" * 2**20})], "max_args allows 1048576"),
    ],
)
def test_what_enqueue_refuses(args: list[str], told: str, wsup: Wsup) -> None:
    result = wsup("enqueue", *args)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("wsup: ")
    assert result.stderr.count("\n") == 1
    assert told in result.stderr
    assert json.loads(wsup("jobs", "list", "--json").stdout) == []
