"""Unique jobs while two supervisors run them, and are killed: never two of a key at once."""

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from exclusive import app as template
from running import Supervisor, all_over, until

from wsup import App, Job, Task

Connection = psycopg.Connection[Any]
KEYS = [f"k{n}" for n in range(5)]


@pytest.fixture
def visit(database: str) -> Any:
    app = App(database)
    visit = app.task(name="visit")(template.tasks["visit"].function)
    yield visit
    app.close()


def asking(visit: "Task[..., None]", ledger: Path, stop: threading.Event) -> list[Job[None]]:
    """Ask for all keys again and again, one by one, and all at once; returns what was new."""
    keyed = visit.options(unique_key=lambda ledger, key: key)
    new = []
    while not stop.is_set():
        jobs = [keyed.enqueue(str(ledger), KEYS[0])]
        jobs += keyed.enqueue_many([(str(ledger), key) for key in KEYS])
        new += [job for job in jobs if job.is_new]
        stop.wait(0.002)
    return new


def test_never_two_at_once(
    make_supervisor: Callable[..., Supervisor],
    visit: "Task[..., None]",
    connection: Connection,
    tmp_path: Path,
) -> None:
    ledger, stop = tmp_path / "ledger", threading.Event()
    hosts = [make_supervisor("--subworkers", "2", app="exclusive:app").start() for _ in range(2)]
    with ThreadPoolExecutor(2) as askers:
        asked = [askers.submit(asking, visit, ledger, stop) for _ in range(2)]
        try:
            until(lambda: len(begun(ledger)) > 50, "jobs run")
            os.kill(hosts[0].subworker_pids()[0], signal.SIGKILL)
            until(lambda: len(begun(ledger)) > 100, "jobs run on")
            hosts[0].kill()
            seen = len(begun(ledger))
            until(lambda: len(begun(ledger)) > seen + 50, "the other one goes on")
        finally:
            stop.set()
    new = [job.id for made in asked for job in made.result()]
    assert len(set(new)) == len(new)
    ends = all_over(connection, new)
    assert ends["succeeded"] > len(new) - 5
    assert_one_at_a_time(ledger)
    # Each key went on after the deaths, too: no holder was forgotten.
    after = {line.split()[0] for line in begun(ledger)[seen:]}
    assert after == set(KEYS)


def begun(ledger: Path) -> list[str]:
    text = ledger.read_text() if ledger.exists() else ""
    return [line for line in text.splitlines() if line.endswith("begin")]


def assert_one_at_a_time(ledger: Path) -> None:
    """A job that was killed has not ended, and may begin again; all others end before the next."""
    inside: dict[str, str] = {}
    for line in ledger.read_text().splitlines():
        key, job, word = line.split()
        if word == "begin":
            inside[key] = job
        else:
            assert inside.pop(key, None) == job, f"job {job} ended beside another one with {key}"
