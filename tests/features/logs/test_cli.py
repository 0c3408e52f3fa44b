"""wsup jobs logs: what a job has written, and what it goes on to write."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from running import PATIENCE, Supervisor, enqueue, finished
from shell import Wsup, complaint

from wsup import App, TaskError

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]


def test_the_lines_of_a_job(
    make_supervisor: MakeSupervisor, connection: Connection, wsup: Wsup
) -> None:
    make_supervisor("--subworkers", "1", app="talking:sync").start()
    odd, failing = enqueue(connection, "odd"), enqueue(connection, "fail")
    finished(connection, odd, failing)
    said = wsup("jobs", "logs", odd).stdout
    assert "  1  stdout  nul \\0, lone \\ud800, escape \\x1b[31m, \n" in said
    assert "  1  shop.orders WARNING  also here: \\0 \\udfff\n" in said
    lines = wsup("jobs", "logs", failing, "--json").stdout.splitlines()
    attempts = [json.loads(line) for line in lines]
    assert [(line["attempt"], line["source"], line["level"]) for line in attempts] == [
        (1, "stdout", None),
        (2, "stdout", None),
    ]
    assert len(wsup("jobs", "logs", failing, "--attempt", 2).stdout.splitlines()) == 1


def test_following(
    make_supervisor: MakeSupervisor, connection: Connection, database: str, tmp_path: Path
) -> None:
    make_supervisor("--subworkers", "1", app="talking:sync").start()
    job = enqueue(connection, "wait_in_thread", path=str(tmp_path / "go"))
    command = [sys.executable, "-m", "wsup", "jobs", "logs", str(job), "--follow"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "WSUP_DATABASE": database, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert "it has begun" in process.stdout.readline()
        (tmp_path / "go").touch()
        assert process.wait(PATIENCE) == 0
        assert process.stdout.read() == ""


def test_bad_input(wsup: Wsup) -> None:
    assert "99: there is no such job" in complaint("jobs", "logs", 99)
    assert "--attempt" in complaint("jobs", "logs", 1, "--attempt", 0)
    assert "a whole number of bytes from 0" in complaint("start", "--log-bytes", "-1")
    with pytest.raises(TaskError, match=r"^App\(capture_logs='LOUD'\) won't do: give True, False"):
        App(capture_logs="LOUD")  # type: ignore[arg-type]
    with pytest.raises(TaskError, match=r"^task t: capture_logs=3 won't do: give True, False, or"):
        App().task(name="t", capture_logs=3)(print)  # type: ignore[call-overload]
