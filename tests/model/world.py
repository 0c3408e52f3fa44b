"""One database and its connections, made once, and emptied for each run of the machine."""

from typing import Any

import clock
import psycopg
from effects import Rescued, Settled
from found import Found, look
from psycopg.sql import SQL, Identifier
from sessions import Session

#: Connections: three supervisors' (and each may leave one behind), writers', an operator's, the
#: lane keeper's.
HOSTS, WRITERS, ZOMBIES = 3, 2, 2

#: Not TRUNCATE: for tables as small as these it takes twenty times as long.
EMPTY = """
DELETE FROM wsup.job; DELETE FROM wsup.ready; DELETE FROM wsup.waiting; DELETE FROM wsup.claim;
DELETE FROM wsup.outcome; DELETE FROM wsup.failure; DELETE FROM wsup.supervisor;
DELETE FROM wsup.sleeper; DELETE FROM wsup.cancel_request; DELETE FROM wsup.child;
DELETE FROM wsup.dependency; DELETE FROM wsup.loose_end; DELETE FROM wsup.unique_key;
DELETE FROM wsup.blocked; DELETE FROM wsup.key_holder; DELETE FROM wsup.key_limit;
DELETE FROM wsup.limits; DELETE FROM wsup.gate_state; DELETE FROM wsup.queue_order;
SELECT setval('wsup.job_id', 1, false), setval('wsup.claim_id', 1, false),
       setval(pg_get_serial_sequence('wsup.supervisor', 'id'), 1, false),
       setval('wsup.lane_turn', 0, true), setval('wsup.dependency_used', 1, false),
       setval('wsup.key_limit_used', 1, false), setval('wsup.key_not_serial', 1, false),
       setval('wsup.loose_end_id', 1, false), setval('wsup.loose_end_low', 0, true),
       setval('wsup.model_day', 0, true);
"""

DUE = """
UPDATE wsup.waiting SET due_at = clock_timestamp() WHERE job IN (
    SELECT job FROM wsup.waiting FOR UPDATE SKIP LOCKED) RETURNING job
"""

#: The sweep's time limits are stretched: the order of the statements decides, not the clock.
STRETCH = """
DO $$
DECLARE
    sweep text := pg_get_functiondef('wsup.sweep(integer, integer, text)'::regprocedure);
BEGIN
    ASSERT sweep LIKE '%interval ''100 ms''%' AND sweep LIKE '%SET lock_timeout TO ''50ms''%';
    sweep := replace(sweep, 'interval ''100 ms''', 'interval ''1 hour''');
    EXECUTE replace(sweep, 'SET lock_timeout TO ''50ms''', 'SET lock_timeout TO ''1h''');
END
$$
"""


class World:
    def __init__(self, dsn: str) -> None:
        self.observer = psycopg.connect(dsn, autocommit=True)
        self.observer.execute(STRETCH)
        clock.install(self.observer)
        self._all = [Session(dsn, self.observer) for _ in range(HOSTS + WRITERS + ZOMBIES + 2)]
        for session in self._all:
            session.peers = self._all
        self.free: list[Session] = []

    def reset(self) -> None:
        for session in self._all:
            session.roll_back()
        self.free = list(self._all)
        self.observer.execute(EMPTY)

    def take(self) -> Session:
        return self.free.pop(0)

    def busy(self) -> list[Session]:
        """The sessions that have a transaction open."""
        return [session for session in self._all if session.open]

    def is_settling(self, supervisor: int) -> bool:
        return any(
            isinstance(effect, Settled) and effect.supervisor == supervisor
            for session in self.busy()
            for effect in session.effects
        )

    def may_be_locked(self, supervisor: int) -> bool:
        """Claims of its? A transaction that waits has not told yet what it has done."""
        return self.is_settling(supervisor) or any(
            any(isinstance(e, Rescued) and e.dead == supervisor for e in session.effects)
            or (session.waiting and {"settle", "rescue"} & set(session.steps or ()))
            for session in self.busy()
        )

    def watch(self) -> None:
        """A transaction has ended: those that waited for it go on."""
        waiting = [session for session in self._all if session.waiting]
        while waiting and sum(session.watch() for session in waiting):
            waiting = [session for session in self._all if session.waiting]

    def look(self) -> Found:
        return look(self.observer)

    def lanes_in_use(self, table: str) -> list[int]:
        query = SQL("SELECT DISTINCT lane FROM {}").format(Identifier("wsup", table))
        return [row[0] for row in self.observer.execute(query)]

    def let_time_pass(self) -> set[int]:
        """All that waits is due now, but for what somebody has locked; returns these jobs."""
        return {row[0] for row in self.observer.execute(DUE)}

    def one(self, statement: str, *parameters: object) -> Any:
        row = self.observer.execute(statement.encode(), parameters or None).fetchone()
        return None if row is None else row[0]

    def close(self) -> None:
        for session in self._all:
            session.close()
        self.observer.close()
