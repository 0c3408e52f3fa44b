"""Transactions of supervisors, writers and an operator, open at once and interleaved by chance: no
key has two turns, and at the end nobody is left in line, whatever the queue was meanwhile."""

import random
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.errors import DeadlockDetected, LockNotAvailable
from road import failed, put_off, succeeded
from standing_in_turn import left_over, make_fair

from wsup.sql.answers import Row, subscribed
from wsup.sql.arrays import register
from wsup.sql.settlement import columns
from wsup.sql.statements import statement

Connection = psycopg.Connection[Any]

STEPS = 200
SUPERVISORS, OTHERS = 3, 3
QUEUES = ("mail", "post")
#: Turns without a job that is ready, and the other way round; and who has two.
ODDITIES = """
SELECT 'not ready', h.job FROM wsup.key_holder h WHERE h.key < ' ' AND NOT EXISTS (
    SELECT FROM wsup.ready r WHERE r.real_job = h.job)
UNION ALL
SELECT 'no turn', r.real_job FROM wsup.ready r WHERE r.key < ' ' AND r.job > 0 AND NOT EXISTS (
    SELECT FROM wsup.key_holder h WHERE h.key = r.key AND h.job = r.real_job)
UNION ALL
SELECT 'many of ' || h.key, count(*) FROM wsup.key_holder h GROUP BY h.key HAVING count(*) > 1
UNION ALL
SELECT 'twice', p.job FROM (
    SELECT coalesce(real_job, job) AS job FROM wsup.ready WHERE job > 0
    UNION ALL SELECT job FROM wsup.blocked UNION ALL SELECT job FROM wsup.waiting) p
 GROUP BY p.job HAVING count(*) > 1
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

    def end(self, *, commit: bool) -> None:
        if commit:
            self.connection.commit()
            self.rows = self.hoped
        else:
            self.connection.rollback()
        self.hoped = list(self.rows)

    def run(self, chance: random.Random) -> None:
        """What a supervisor does: settles some of what it has, and pulls."""
        over = [row for row in self.hoped if chance.random() < 0.6]
        ends = (succeeded, put_off, lambda r: put_off(r, 60.0), lambda r: failed(r, 60.0))
        entries = [chance.choice(ends)(row) for row in over]
        if entries:
            self.connection.execute(statement("settle"), columns(self.number, entries))
            self.hoped = [row for row in self.hoped if row not in over]
        if chance.random() < 0.7:
            self.pull(chance.choice((1, 2, 5, 20)))
        if chance.random() < 0.2:
            self.promote()

    def pull(self, n: int) -> None:
        cursor = self.connection.execute(
            "SELECT * FROM wsup.pull(%s, %s, %s)", [self.number, subscribed(list(QUEUES)), n]
        )
        self.hoped = [*self.hoped, *cursor.fetchall()]

    def promote(self) -> None:
        self.connection.execute("UPDATE wsup.waiting SET due_at = clock_timestamp()")
        self.connection.execute("SELECT wsup.promote(1000)")

    def meddle(self, chance: random.Random) -> None:
        """What clients and operators do."""
        query = "SELECT id FROM wsup.job ORDER BY id DESC LIMIT 30"
        jobs = [row[0] for row in self.connection.execute(query)]
        some = chance.sample(jobs, min(len(jobs), 3))
        deeds = {
            "SELECT wsup.cancel(%s)": (some,),
            "SELECT wsup.move(%s, %s)": (some, chance.choice(QUEUES)),
            "SELECT wsup.purge(%s, true)": (some,),
            "SELECT wsup.set_queue(%s, %s)": (chance.choice(QUEUES), chance.random() < 0.7),
        }
        if chance.random() < 0.75 or not jobs:
            self.connection.execute(
                "INSERT INTO wsup.job (task, queue, key, priority)"
                " SELECT 'noop', %s, %s, %s FROM generate_series(1, %s)",
                [
                    chance.choice(QUEUES),
                    chance.choice((None, "a", "a", "b")),
                    chance.randrange(2),
                    chance.choice((1, 1, 4, 30)),
                ],
            )
        else:
            self.connection.execute(*chance.choice(list(deeds.items())))


@pytest.fixture
def sessions(database: str) -> Iterator[list[Session]]:
    made = [Session(database, number + 1) for number in range(SUPERVISORS + OTHERS)]
    yield made
    for session in made:
        session.connection.close()


def step(session: Session, chance: random.Random) -> None:
    """Begin something, or go on with it, or end it; who would have to wait gives up."""
    is_open = session.connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE
    if is_open and chance.random() < 0.6:
        session.end(commit=chance.random() < 0.85)
        return
    try:
        (session.run if session.number <= SUPERVISORS else session.meddle)(chance)
    except (LockNotAvailable, DeadlockDetected):
        session.end(commit=False)


@pytest.mark.parametrize("seed", range(5))
def test_whoever_comes_between(seed: int, connection: Connection, sessions: list[Session]) -> None:
    chance = random.Random(seed)
    make_fair(connection)
    for _ in range(STEPS):
        step(chance.choice(sessions), chance)
        assert connection.execute(ODDITIES).fetchall() == []
    for session in sessions:
        session.end(commit=False)
    survivor = sessions[0]
    for session in sessions[1:SUPERVISORS]:
        connection.execute("SELECT wsup.rescue(%s, 5)", [session.number])
    while True:
        survivor.promote()
        over = [succeeded(row) for row in survivor.rows]
        survivor.connection.execute(statement("settle"), columns(survivor.number, over))
        survivor.hoped = []
        survivor.pull(1000)
        survivor.end(commit=True)
        if not survivor.rows:
            break
    left = "SELECT id FROM wsup.job WHERE NOT EXISTS (SELECT FROM wsup.outcome o WHERE o.job = id)"
    assert connection.execute(left).fetchall() == []
    assert left_over(connection) == (0, 0, 0)
