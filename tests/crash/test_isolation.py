"""What one subworker does, or fails to do, is no other process's trouble."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import psycopg
from running import Supervisor, enqueue, finished, state, until

from wsup.subworkers.ring import FRAME

Connection = psycopg.Connection[Any]


def frame(payload: bytes, checksum: int | None = None) -> str:
    """A frame of the ring, in hex."""
    sound = crc32(payload) if checksum is None else checksum
    return (FRAME.pack(len(payload), sound) + payload).hex()


def succeeded(connection: Connection) -> int:
    row = connection.execute(
        "SELECT count(*) FROM wsup.outcome WHERE state = 'succeeded'"
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_a_bad_frame_costs_its_subworker_and_nobody_else(
    make_supervisor: Callable[..., Supervisor], connection: Connection, tmp_path: Path
) -> None:
    supervisor = make_supervisor("--subworkers", "2").start()
    started, go = tmp_path / "started", tmp_path / "go"
    beside = enqueue(connection, "wait_for_file", path=str(go), started=str(started))
    until(lambda: started.exists() and started.read_text(), "it has noted its start")
    survivor = int(started.read_text().split()[2])
    for sent, said in (
        ("ff" * 64, "a frame claims to have 4294967295 bytes"),
        (frame(b"something", checksum=1), "a frame doesn't match its checksum"),
        (frame(b"\xc1"), "MessagePack data is malformed"),
    ):
        job = enqueue(connection, "damage", sent=sent)
        assert finished(connection, job) == ["failed"]
        supervisor.wait_for(said)
        assert connection.execute(
            "SELECT attempt, message FROM wsup.failure WHERE job = %s", [job]
        ).fetchall() == [(1, "subworker died: SIGKILL")]
    assert state(connection, beside) == "running"
    assert survivor in supervisor.subworker_pids()
    go.touch()
    assert finished(connection, beside) == ["succeeded"]


def test_a_subworker_that_does_not_read_holds_nobody_up(
    make_supervisor: Callable[..., Supervisor], connection: Connection
) -> None:
    """Its ring is too small for the job that it is given, and stays full."""
    supervisor = make_supervisor("--subworkers", "2", "--ring-bytes", "65536").start()
    stopped = supervisor.subworker_pids()[0]
    os.kill(stopped, signal.SIGSTOP)
    try:
        jobs = [enqueue(connection, "length", text="x" * 1_000_000) for _ in range(6)]
        until(lambda: succeeded(connection) == 5, "all but the job of the stopped one are done")
        assert len(supervisor.subworker_pids()) == 2
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert finished(connection, *jobs) == ["succeeded"] * 6


def test_a_subworker_holds_nothing_at_any_moment(
    supervisor: Supervisor, connection: Connection, tmp_path: Path
) -> None:
    """Stopped amid its work at moments that nobody chose: the supervisor goes on each time."""
    ledger = tmp_path / "ledger"
    pids = supervisor.subworker_pids()
    jobs = []
    for number in range(20):
        with connection.transaction():
            jobs += [enqueue(connection, "count", path=str(ledger)) for _ in range(100)]
        stopped = pids[number % 2]
        os.kill(stopped, signal.SIGSTOP)
        try:
            assert supervisor.status()["connected"]
        finally:
            os.kill(stopped, signal.SIGCONT)
    assert set(finished(connection, *jobs)) == {"succeeded"}
    assert supervisor.subworker_pids() == pids
    assert Counter(int(line.split()[0]) for line in ledger.read_text().splitlines()) == Counter(
        jobs
    )
