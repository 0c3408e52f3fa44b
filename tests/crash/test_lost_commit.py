"""What was asked for may be done although the answer never came: the claims tell."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from relay import Relay
from running import (
    PATIENCE,
    Supervisor,
    all_over,
    enqueue,
    enqueue_counts,
    finished,
    runs,
    sleepers,
    until,
)
from servers import OwnServer

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]

#: How the server says that it has committed: CommandComplete, 11 bytes, COMMIT.
COMMITTED = b"C\0\0\0\x0bCOMMIT\0"


@pytest.fixture
def relay(database: str, tmp_path: Path) -> Iterator[Relay]:
    folder = tmp_path / "relay"
    folder.mkdir()
    relay = Relay(database, folder)
    yield relay
    relay.close()


class Cut:
    """Breaks the connection in place of the pieces in which `sign` is, so many times."""

    def __init__(self, sign: bytes, times: int) -> None:
        self._sign = sign
        self.left = times
        self._lock = threading.Lock()

    def __call__(self, data: bytes) -> bytes | None:
        with self._lock:
            if self.left and self._sign in data:
                self.left -= 1
                return None
        return data


class Hold:
    """From the piece in which `sign` is, that connection says nothing more in this direction."""

    def __init__(self, sign: bytes, passes: Callable[[bytes], bytes] = lambda _: b"") -> None:
        self._sign = sign
        #: What of that piece is still passed on.
        self._passes = passes
        self._holder: threading.Thread | None = None
        self.held = threading.Event()
        self.released = threading.Event()

    def __call__(self, data: bytes) -> bytes | None:
        if self._holder is None and self._sign in data:
            self._holder = threading.current_thread()
            self.held.set()
            return self._passes(data)
        if self._holder is threading.current_thread():
            self.released.wait()
            return None
        return data


def test_the_reply_to_a_commit_is_lost(
    make_supervisor: MakeSupervisor, relay: Relay, connection: Connection, tmp_path: Path
) -> None:
    """Each of these turns has committed results and pulled jobs: none of both was heard of."""
    supervisor = make_supervisor("--subworkers", "2", database=relay.dsn).start()
    ledger = tmp_path / "ledger"
    jobs = enqueue_counts(connection, ledger, 1000)
    relay.change = cut = Cut(COMMITTED, times=3)
    assert all_over(connection, jobs) == {"succeeded": len(jobs)}
    assert cut.left == 0
    assert runs(ledger) == Counter(jobs)
    supervisor.wait_for("results had been committed before the connection was lost")
    supervisor.wait_for("jobs were pulled unheard, and are given back")
    assert "came too late" not in supervisor.log


def test_the_reply_to_a_pull_of_the_listener_is_lost(
    make_supervisor: MakeSupervisor, relay: Relay, connection: Connection, tmp_path: Path
) -> None:
    supervisor = make_supervisor("--subworkers", "2", database=relay.dsn).start()
    ledger = tmp_path / "ledger"
    until(lambda: sleepers(connection))
    relay.change = cut = Cut(str(ledger).encode(), times=1)
    jobs = enqueue_counts(connection, ledger, 5)
    assert all_over(connection, jobs) == {"succeeded": len(jobs)}
    assert cut.left == 0
    assert runs(ledger) == Counter(jobs)
    supervisor.wait_for("jobs were pulled unheard, and are given back")


def test_a_pull_that_is_still_under_way_is_not_taken_for_lost(
    make_supervisor: MakeSupervisor, relay: Relay, connection: Connection, tmp_path: Path
) -> None:
    """The claims are compared at every beat after a lost connection, and there is one that nobody
    here knows yet."""
    supervisor = make_supervisor("--poll", "1", database=relay.dsn).start()
    ledger = tmp_path / "ledger"
    connection.execute(
        "SELECT pg_terminate_backend(%s, 5000)", [backend(connection, "wsup listener")]
    )
    supervisor.wait_for("connected again")
    until(lambda: sleepers(connection))
    held, released = threading.Event(), threading.Event()

    def late(data: bytes) -> bytes:
        if str(ledger).encode() in data:
            held.set()
            released.wait()
        return data

    relay.change = late
    try:
        jobs = enqueue_counts(connection, ledger, 5)
        assert held.wait(PATIENCE)
        before = beats(connection)
        until(lambda: beats(connection) > before)
        time.sleep(1.5)  # a comparison that doesn't wait for the pull has been made by now
    finally:
        released.set()
    assert all_over(connection, jobs) == {"succeeded": len(jobs)}
    assert runs(ledger) == Counter(jobs)
    assert "pulled unheard" not in supervisor.log


@pytest.mark.parametrize("whose", ["turn", "listener"])
def test_a_server_whose_answer_never_comes(
    make_supervisor: MakeSupervisor,
    relay: Relay,
    connection: Connection,
    tmp_path: Path,
    whose: str,
) -> None:
    supervisor = make_supervisor("--statement-timeout", "1", database=relay.dsn).start()
    ledger = tmp_path / "ledger"
    until(lambda: sleepers(connection))
    relay.change = hold = Hold(COMMITTED if whose == "turn" else str(ledger).encode())
    try:
        jobs = enqueue_counts(connection, ledger, 5)
        supervisor.wait_for("the database is lost: no answer within 1 s")
        assert all_over(connection, jobs) == {"succeeded": len(jobs)}
    finally:
        hold.released.set()
    assert runs(ledger) == Counter(jobs)


@pytest.mark.parametrize("name", ["wsup supervisor", "wsup listener"])
def test_a_server_process_that_hangs(
    make_supervisor: MakeSupervisor,
    own_server: OwnServer,
    own_database: str,
    tmp_path: Path,
    name: str,
) -> None:
    flags = ("--statement-timeout", "1", "--poll", "1")
    supervisor = make_supervisor(*flags, database=own_database).start()
    ledger = tmp_path / "ledger"
    with psycopg.connect(own_database, autocommit=True) as connection:
        until(lambda: sleepers(connection))
        pid = backend(connection, name)
        os.kill(pid, signal.SIGSTOP)
        try:
            jobs = enqueue_counts(connection, ledger, 5)
            supervisor.wait_for("the database is lost: no answer within 1 s")
            assert all_over(connection, jobs) == {"succeeded": len(jobs)}
            assert backend(connection, name) == pid  # it hangs still
        finally:
            os.kill(pid, signal.SIGCONT)
    assert runs(ledger) == Counter(jobs)


def test_half_a_turn_that_holds_its_locks_is_ended(
    make_supervisor: MakeSupervisor, relay: Relay, connection: Connection, tmp_path: Path
) -> None:
    """The server has settled the job, and waits for the COMMIT that was lost on the way; it isn't
    told that the connection is gone, and would wait for hours."""
    supervisor = make_supervisor("--statement-timeout", "1", database=relay.dsn).start()
    started, go = tmp_path / "started", tmp_path / "go"
    job = enqueue(connection, "wait_for_file", path=str(go), started=str(started))
    until(lambda: runs(started))
    relay.tells.clear()
    relay.forward = hold = Hold(SEEN, passes=up_to_the_end_of_the_statement)
    go.touch()
    assert hold.held.wait(PATIENCE)
    until(lambda: waiting_for_the_rest(connection), "half a turn is done")
    assert finished(connection, job) == ["succeeded"]
    assert not waiting_for_the_rest(connection)
    supervisor.wait_for("connected again")
    assert runs(started) == Counter([job])
    hold.released.set()


#: The result of the job, among the parameters of what settles it.
SEEN = b'"seen"'


def up_to_the_end_of_the_statement(data: bytes) -> bytes:
    """The messages up to the first Execute after the parameter; each is type, length, body."""
    end, seen = 0, False
    while not (seen and data[end : end + 1] == b"E"):
        start = end
        end += 1 + int.from_bytes(data[end + 1 : end + 5], "big")
        seen = seen or SEEN in data[start:end]
    return data[: end + 1 + int.from_bytes(data[end + 1 : end + 5], "big")]


def beats(connection: Connection) -> int:
    row = connection.execute("SELECT sum(beat) FROM wsup.supervisor").fetchone()
    return int(row[0]) if row else 0


def backend(connection: Connection, name: str) -> int:
    """The process that has served that connection for longest."""
    rows = connection.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = %s ORDER BY backend_start",
        [name],
    ).fetchall()
    return int(rows[0][0])


def waiting_for_the_rest(connection: Connection) -> int:
    return connection.execute(
        "SELECT FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_xid IS NOT NULL AND wait_event = 'ClientRead'"
    ).rowcount
