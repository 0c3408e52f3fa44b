"""Who is dead: judged from what the database shows, by the observer's own clock."""

import asyncio
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from road import fill, places, pull

from wsup.sql.source import PostgresSource
from wsup.supervisor import liveness
from wsup.supervisor.liveness import Witness

Connection = psycopg.Connection[Any]
#: Seconds.
LEASE = 30.0


class Clock:
    """The observer's monotonic clock; stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Observed:
    """Supervisor 1 watches supervisor 2, which holds one job; both are only rows and a lock."""

    def __init__(self, database: str, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._runner = asyncio.Runner()
        self._source = PostgresSource(database)
        self._runner.run(self._source.connect())
        for _ in range(2):
            connection.execute(
                "INSERT INTO wsup.supervisor (host, pid, version, queues, subworkers, lease)"
                " VALUES ('h', 1, '0', '{default}', 1, %s)",
                [LEASE],
            )
        self._source.supervisor = 1
        self.witness = Witness(self._source, max_lost=5)
        (self.job,) = fill(connection, 1)
        pull(connection, 1, supervisor=2)

    def beat(self) -> None:
        self._connection.execute("UPDATE wsup.supervisor SET beat = beat + 1 WHERE id = 2")

    def after(self, seconds: float) -> bool:
        """Let so much time pass, and look; was 2 buried?"""
        self._clock.now += seconds
        freed = self._runner.run(self.witness.look())
        assert places(self._connection, self.job) == (["ready"] if freed else ["claimed"])
        return freed == 1

    def close(self) -> None:
        self._runner.run(self._source.close())
        self._runner.close()


@pytest.fixture
def observed(
    database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Observed]:
    clock = Clock()
    monkeypatch.setattr(liveness, "time", SimpleNamespace(monotonic=clock.monotonic))
    made = Observed(database, connection, clock)
    yield made
    made.close()


@pytest.fixture
def hold(database: str) -> Iterator[Callable[[], Connection]]:
    """Opens the session that holds supervisor 2's lock; closing it is its death."""
    held: list[Connection] = []

    def take() -> Connection:
        held.append(psycopg.connect(database, autocommit=True))
        held[-1].execute("SELECT pg_advisory_lock(2004055408, 2)")
        return held[-1]

    yield take
    for session in held:
        session.close()


def end(session: Connection, connection: Connection) -> None:
    """Have a session end; returns once the server has let go of its lock."""
    connection.execute("SELECT pg_terminate_backend(%s, 5000)", [session.info.backend_pid])


def test_dead_is_whose_lock_was_free_for_a_second(
    observed: Observed, hold: Callable[[], Connection], connection: Connection
) -> None:
    session = hold()
    assert not observed.after(6)
    end(session, connection)
    assert not observed.after(0.5)  # seen free for the first time
    assert not observed.after(0.9)
    assert observed.after(0.1)


def test_a_lock_that_is_taken_again_in_time_is_no_death(
    observed: Observed, hold: Callable[[], Connection], connection: Connection
) -> None:
    assert not observed.after(6)
    session = hold()
    assert not observed.after(0.9)
    end(session, connection)
    assert not observed.after(0.9)
    assert not observed.after(0.9)


def test_who_still_beats_is_not_dead(
    observed: Observed, hold: Callable[[], Connection], connection: Connection
) -> None:
    """It has lost the session with the lock only, and can't get another one."""
    session = hold()
    assert not observed.after(6)
    end(session, connection)
    for _ in range(5):
        observed.beat()
        assert not observed.after(0.9)
    assert not observed.after(0.9)
    assert observed.after(0.1)


def test_a_host_that_is_cut_off_is_dead_after_its_lease(
    observed: Observed, hold: Callable[[], Connection]
) -> None:
    """Its session still hangs on the server, and holds the lock."""
    hold()
    assert not observed.after(6)
    assert not observed.after(LEASE - 1)
    observed.beat()
    assert not observed.after(2)
    assert not observed.after(LEASE - 1)
    assert observed.after(1)


def test_who_was_just_connected_buries_nobody(observed: Observed) -> None:
    """A restart of the server frees every lock: all are given the time to come back."""
    assert not observed.after(0)
    assert not observed.after(4.9)
    observed.witness.reconnected()
    assert not observed.after(4.9)
    assert observed.after(1)
