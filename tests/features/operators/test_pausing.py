"""A queue that rests, over all hosts."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from road import fill, pull
from running import (
    PATIENCE,
    Supervisor,
    all_asleep,
    all_over,
    enqueue,
    finished,
    runs,
    sleepers,
    state,
    until,
)

from wsup import App
from wsup import queue as queues

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]


def count(connection: Connection, ledger: Path, n: int, queue: str) -> list[int]:
    """Enqueue jobs that each write a line."""
    rows = connection.execute(
        "INSERT INTO wsup.job (task, queue, args)"
        " SELECT 'count', %s, json_build_object('path', %s::text) FROM generate_series(1, %s)"
        " RETURNING id",
        [queue, str(ledger), n],
    )
    return [row[0] for row in rows]


def test_no_host_starts_its_jobs_until_it_is_resumed(
    make_supervisor: MakeSupervisor, app: App, connection: Connection, tmp_path: Path
) -> None:
    """Those who have nothing else to do sleep, and resuming wakes them."""
    flags = ("--subworkers", "1", "--queues", "a,b", "--poll", "60")
    for _ in range(2):
        make_supervisor(*flags).start()
    assert app.queue("a").pause()
    assert not app.queue("a").pause()
    held = count(connection, tmp_path / "a", 50, "a")
    others = count(connection, tmp_path / "b", 50, "b")
    assert all_over(connection, others) == {"succeeded": 50}
    until(lambda: all_asleep(connection, 2), "both sleep")
    assert runs(tmp_path / "a") == {}
    found = {q.name: q for q in app.queues()}
    assert (found["a"].ready, found["a"].supervisors, found["a"].paused_at is None) == (
        50,
        2,
        False,
    )
    assert (found["b"].ready, found["b"].paused_at) == (0, None)
    assert app.queue("a").resume()
    assert not app.queue("a").resume()
    assert all_over(connection, held) == {"succeeded": 50}


def test_a_pull_that_had_begun_is_waited_for(
    database: str, app: App, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the answer is there, nobody is about to take one. Not for a dump of the database, nor
    for an open transaction that has enqueued, which looked whether to wake somebody."""
    monkeypatch.setattr(queues, "PULL_SECONDS", 2 * PATIENCE)
    fill(connection, 3)
    connection.execute("INSERT INTO wsup.sleeper VALUES (1, '{default}', '5 s')")
    with (
        psycopg.connect(database) as puller,
        psycopg.connect(database) as dump,
        psycopg.connect(database) as writer,
    ):
        dump.execute("LOCK TABLE wsup.migration, wsup.paused_queue IN ACCESS SHARE MODE")
        fill(writer, 1)
        assert len(pull(puller, 1)) == 1
        pausing = threading.Thread(target=app.queue("default").pause)
        pausing.start()
        until(lambda: connection.execute("SELECT FROM wsup.paused_queue").rowcount, "is paused")
        assert pull(connection, 1) == []
        pausing.join(0.2)
        assert pausing.is_alive()
        puller.commit()
        pausing.join(PATIENCE)
        assert not pausing.is_alive()


def test_its_jobs_are_nothing_to_look_at(app: App, connection: Connection) -> None:
    fill(connection, 3, "a")
    ready = "SELECT (wsup.look('{a,b}')).ready, (wsup.beat(1, '{a,b}', 0, 0, '{}', false)).ready"
    assert connection.execute(ready).fetchone() == (True, True)
    app.queue("a").pause()
    assert connection.execute(ready).fetchone() == (False, False)
    fill(connection, 1, "b")
    assert connection.execute(ready).fetchone() == (True, True)
    assert len(pull(connection, 10, ["a", "b"])) == 1


def test_new_jobs_of_it_wake_nobody(app: App, connection: Connection) -> None:
    connection.execute("INSERT INTO wsup.sleeper VALUES (1, '{a}', '5 s'), (2, '{a,b}', '5 s')")
    app.queue("a").pause()
    connection.execute("LISTEN wsup_1; LISTEN wsup_2; LISTEN wsup")
    fill(connection, 1, "a")
    fill(connection, 1, "b")
    assert [n.channel for n in connection.notifies(timeout=10, stop_after=1)] == ["wsup_2"]
    app.queue("a").resume()
    assert [n.channel for n in connection.notifies(timeout=10, stop_after=1)] == ["wsup"]


def test_a_job_that_was_enqueued_while_it_was_resumed(
    make_supervisor: MakeSupervisor, app: App, database: str, connection: Connection
) -> None:
    """Its transaction saw the queue paused, and woke nobody. It is found all the same."""
    make_supervisor("--subworkers", "1", "--queues", "a", "--poll", "60").start()
    app.queue("a").pause()
    # It has been called once before, and sleeps on under the word that it gave then.
    (first,) = fill(connection, 1, "a")
    app.queue("a").resume()
    finished(connection, first)
    app.queue("a").pause()
    until(lambda: sleepers(connection) == 1, "it sleeps")
    with psycopg.connect(database) as writer:
        (job,) = fill(writer, 1, "a")
        (other,) = fill(connection, 1, "a")
        app.queue("a").resume()
        assert finished(connection, other) == ["succeeded"]
    assert finished(connection, job) == ["succeeded"]


def test_what_runs_goes_on_and_what_is_given_back_rests(
    make_supervisor: MakeSupervisor, app: App, connection: Connection, tmp_path: Path
) -> None:
    supervisor = make_supervisor("--subworkers", "2", "--queues", "a").start()
    started, ends = tmp_path / "started", tmp_path / "ends"
    never = str(tmp_path / "never")
    goes_on, killed = (
        connection.execute(
            "SELECT wsup.enqueue('wait_for_file', jsonb_build_object("
            " 'path', %s::text, 'started', %s::text), queue => 'a')",
            [path, str(started)],
        ).fetchone()[0]  # type: ignore[index]
        for path in (str(ends), never)
    )
    until(lambda: runs(started).total() == 2, "both run")
    app.queue("a").pause()
    ends.touch()
    assert finished(connection, goes_on) == ["succeeded"]
    supervisor.kill()
    supervisor.start()
    until(lambda: state(connection, killed) == "ready", "it is back")
    until(lambda: sleepers(connection) == 1, "the supervisor has looked")
    assert state(connection, killed) == "ready"
    Path(never).touch()
    app.queue("a").resume()
    assert finished(connection, killed) == ["succeeded"]
    assert runs(started).total() == 3


def test_retried_jobs_rest_too(app: App, connection: Connection) -> None:
    job = enqueue(connection, "noop")
    app.queue("default").pause()
    app.job(job).cancel()
    assert app.jobs([job]).retry() == 1
    assert pull(connection, 1) == []
    app.queue("default").resume()
    assert [row[1] for row in pull(connection, 1)] == [job]


def test_supervisors_that_nobody_can_call_find_out(
    make_supervisor: MakeSupervisor, app: App, connection: Connection
) -> None:
    supervisor = make_supervisor("--subworkers", "1", "--queues", "a", "--listen", "off").start()
    app.queue("a").pause()
    (job,) = fill(connection, 1, "a")
    app.queue("a").resume()
    assert finished(connection, job) == ["succeeded"]
    assert supervisor.stop(signal.SIGTERM) == 0
