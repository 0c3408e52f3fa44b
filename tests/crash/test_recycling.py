"""Recycling: after so many jobs, so much memory, so much time; and never one subworker short."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from running import Supervisor, enqueue, finished, result, state, until

Connection = psycopg.Connection[Any]
Hostile = Callable[..., Supervisor]


@contextmanager
def counted(supervisor: Supervisor) -> Iterator[Counter[int]]:
    """How often so many subworkers were ready, asked for without a pause."""
    seen: Counter[int] = Counter()
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            members = supervisor.status()["subworkers"]
            seen[sum(m["state"] in ("idle", "busy") for m in members)] += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def test_after_so_many_jobs(hostile: Hostile, connection: Connection, tmp_path: Path) -> None:
    supervisor = hostile("--subworkers", "2", "--max-jobs", "50")
    before = set(supervisor.subworker_pids())
    ledger = tmp_path / "ledger"
    jobs: list[int] = []
    with counted(supervisor) as ready:
        while supervisor.log.count("was recycled: it has done") < 6:
            with connection.transaction():
                made = [enqueue(connection, "note", path=str(ledger)) for _ in range(100)]
            jobs += made
            assert set(finished(connection, *made)) == {"succeeded"}
    assert min(ready) >= 2
    lines = [line.split() for line in ledger.read_text().splitlines()]
    assert sorted(int(job) for job, _, _ in lines) == jobs  # each once
    assert {attempt for _, attempt, _ in lines} == {"1"}
    assert not before & set(supervisor.subworker_pids())
    assert " died: " not in supervisor.log


def test_at_so_much_memory(hostile_sync: Hostile, connection: Connection) -> None:
    supervisor = hostile_sync("--subworkers", "1", "--max-rss", "200000000")
    with counted(supervisor) as ready:
        pid = result(connection, enqueue(connection, "hoard", size=200_000_000))
        supervisor.wait_for("was recycled: it takes")
    assert min(ready) >= 1
    assert result(connection, enqueue(connection, "here"))["pid"] != pid
    until(lambda: pid not in supervisor.subworker_pids())


def test_a_limit_below_what_a_new_one_takes_is_told(hostile_sync: Hostile) -> None:
    supervisor = hostile_sync("--subworkers", "1", "--max-rss", "1000000")
    supervisor.wait_for("max_rss = 1000000: a subworker takes")
    assert "was recycled" not in supervisor.log


def test_at_such_an_age_and_its_job_is_finished_first(
    hostile_sync: Hostile, connection: Connection, tmp_path: Path
) -> None:
    supervisor = hostile_sync("--subworkers", "1", "--max-age", "1")
    started, go = tmp_path / "started", tmp_path / "go"
    with counted(supervisor) as ready:
        job = enqueue(connection, "wait_for_file", path=str(go), started=str(started))
        until(started.exists)
        supervisor.wait_for("was recycled: it is ")
        _, _, pid = started.read_text().split()
        assert result(connection, enqueue(connection, "here"))["pid"] != int(pid)
        assert state(connection, job) == "running"
        go.touch()
        assert result(connection, job) == int(pid)
    assert min(ready) >= 1
    supervisor.wait_for("was recycled: it is ", times=2)


def test_one_that_cannot_be_replaced_goes_on(hostile_both: Hostile, connection: Connection) -> None:
    supervisor = hostile_both("--subworkers", "2", "--max-jobs", "5")
    pids = set(supervisor.subworker_pids())
    (supervisor.folder / "unfit").touch()
    jobs = [enqueue(connection, "here") for _ in range(100)]
    assert {result(connection, job)["pid"] for job in jobs} <= pids
    supervisor.wait_for("can't be recycled and goes on: a start hook failed")
    until(lambda: set(supervisor.subworker_pids()) == pids)
    assert supervisor.stop() == 0
