"""Transactions of supervisors, writers and an operator, open at once and interleaved by chance: no
key is ever held by more than its limit, and at the end nobody is left in line."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from road import failed, put_off, succeeded

from wsup.sql.answers import Row, subscribed
from wsup.sql.arrays import register
from wsup.sql.settlement import Entry, columns
from wsup.sql.statements import statement

Connection = psycopg.Connection[Any]

KEYS = {"serial": 1, "double": 2, "triple": 3}
STEPS = 200
SUPERVISORS, WRITERS = 3, 2

#: Who has a turn but is neither ready nor claimed, or the other way round; and who is too many.
ODDITIES = """
WITH active AS (
    SELECT r.job FROM wsup.ready r WHERE r.job > 0
    UNION ALL
    SELECT n.job FROM wsup.claim c, unnest(c.jobs) AS s(span),
           generate_series(lower(s.span), upper(s.span) - 1) AS n(job))
SELECT 'no turn', a.job FROM active a WHERE NOT EXISTS (
    SELECT FROM wsup.key_holder h WHERE h.job = a.job)
UNION ALL
SELECT 'not active', h.job FROM wsup.key_holder h WHERE NOT EXISTS (
    SELECT FROM active a WHERE a.job = h.job)
UNION ALL
SELECT 'too many of ' || h.key, count(*) FROM wsup.key_holder h
 GROUP BY h.key, h.key_limit HAVING count(*) > h.key_limit
"""


class Session:
    """One connection; what it does stays open until it is ended."""

    def __init__(self, dsn: str, number: int) -> None:
        self.number = number
        self.connection = psycopg.connect(dsn)
        register(self.connection)
        self.connection.execute("SET lock_timeout = '20ms'")
        self.connection.commit()
        #: What it has pulled and not settled, as far as committed, and with the open transaction.
        self.rows: list[Row] = []
        self.hoped: list[Row] = []

    @property
    def open(self) -> bool:
        return self.connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE

    def end(self, *, commit: bool) -> None:
        if commit:
            self.connection.commit()
            self.rows = self.hoped
        else:
            self.connection.rollback()
        self.hoped = list(self.rows)

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Who would have to wait for another gives up."""
        try:
            yield
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            self.end(commit=False)

    def settle(self, entries: list[Entry], room: int = 0) -> None:
        """With room, a pull of as many must follow."""
        if room:
            self.connection.execute(statement("hand_over"), [room, ["default"]])
        self.connection.execute(statement("settle"), columns(self.number, entries))
        over = {entry.job for entry in entries}
        self.hoped = [row for row in self.hoped if row[1] not in over]

    def pull(self, n: int) -> None:
        cursor = self.connection.execute(
            "SELECT * FROM wsup.pull(%s, %s, %s)", [self.number, subscribed(["default"]), n]
        )
        self.hoped = [*self.hoped, *cursor.fetchall()]

    def enqueue(self, chance: random.Random) -> None:
        key = chance.choice(list(KEYS))
        self.connection.execute(
            "INSERT INTO wsup.job (task, key, key_limit, priority)"
            " SELECT 'noop', %s, %s, %s FROM generate_series(1, %s)",
            [key, KEYS[key], chance.randrange(2), chance.choice((1, 1, 4))],
        )

    def cancel(self, chance: random.Random) -> None:
        query = "SELECT id FROM wsup.job ORDER BY id DESC LIMIT 12"
        jobs = [row[0] for row in self.connection.execute(query)]
        if jobs:
            self.connection.execute("SELECT wsup.cancel(%s)", [[chance.choice(jobs)]])


def settlement(rows: list[Row], chance: random.Random) -> list[Entry]:
    ends = (succeeded, succeeded, put_off, lambda r: put_off(r, 60.0), lambda r: failed(r, 60.0))
    return [chance.choice(ends)(row) for row in rows if chance.random() < 0.6]


def step(session: Session, chance: random.Random) -> None:
    """Begin something, or go on with it, or end it."""
    if session.open and chance.random() < 0.6:
        session.end(commit=chance.random() < 0.85)
        return
    with session.trying():
        if session.number > SUPERVISORS:
            (session.enqueue if chance.random() < 0.75 else session.cancel)(chance)
            return
        most = chance.randrange(1, 6) if chance.random() < 0.7 else 0
        if entries := settlement(session.hoped, chance):
            session.settle(entries, most if chance.random() < 0.5 else 0)
        if most:
            session.pull(most)
        if chance.random() < 0.2:
            session.connection.execute("UPDATE wsup.waiting SET due_at = clock_timestamp()")
            session.connection.execute("SELECT wsup.promote(10)")


@pytest.fixture
def sessions(database: str) -> Iterator[list[Session]]:
    made = [Session(database, number + 1) for number in range(SUPERVISORS + WRITERS)]
    yield made
    for session in made:
        session.connection.close()


def drain(connection: Connection, sessions: list[Session]) -> None:
    """Everybody's end, and then one supervisor alone."""
    for session in sessions:
        session.end(commit=False)
    survivor = sessions[0]
    for session in sessions[1:SUPERVISORS]:
        connection.execute("SELECT wsup.rescue(%s, 5)", [session.number])
        session.rows = session.hoped = []
    while True:
        connection.execute("UPDATE wsup.waiting SET due_at = clock_timestamp()")
        connection.execute("SELECT wsup.promote(1000)")
        survivor.settle([succeeded(row) for row in survivor.rows])
        survivor.pull(1000)
        survivor.end(commit=True)
        if not survivor.rows:
            return


@pytest.mark.parametrize("seed", range(6))
def test_whoever_comes_between(seed: int, connection: Connection, sessions: list[Session]) -> None:
    chance = random.Random(seed)
    for _ in range(STEPS):
        step(chance.choice(sessions), chance)
        assert connection.execute(ODDITIES).fetchall() == []
        if chance.random() < 0.03:
            dead = chance.choice(sessions[:SUPERVISORS])
            if not any(session.open for session in sessions[:SUPERVISORS]):
                connection.execute("SELECT wsup.rescue(%s, 5)", [dead.number])  # it doesn't know
    drain(connection, sessions)
    left = "SELECT id FROM wsup.job WHERE NOT EXISTS (SELECT FROM wsup.outcome o WHERE o.job = id)"
    assert connection.execute(left).fetchall() == []
    assert connection.execute("SELECT job FROM wsup.key_holder").fetchall() == []
