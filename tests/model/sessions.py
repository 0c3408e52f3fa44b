"""Connections whose statements may have to wait for each other's locks.

A statement runs in a thread of its connection's own. Once it is either done or kept waiting by
another of these connections, the next step may be taken. So one step is one statement, and no
clock decides what comes first.
"""

import concurrent.futures
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from wsup.sql import arrays
from wsup.sql.statements import statement

Rows = list[tuple[Any, ...]]
Parameters = Sequence[object] | dict[str, object]
Work = Callable[["psycopg.Connection[Any]"], Rows]

#: Seconds after which it is asked whether a statement that isn't done waits for a lock.
GLANCE = 0.003
#: Errors that say only that the transaction must be tried again.
ROLLED_BACK = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.QueryCanceled,
)


def query(name: str, parameters: Parameters = ()) -> Work:
    """The work of running `queries/<name>.sql`."""
    return sql(statement(name), parameters)


def sql(text: str | bytes, parameters: Parameters = ()) -> Work:
    encoded = text.encode() if isinstance(text, str) else text

    def work(connection: "psycopg.Connection[Any]") -> Rows:
        cursor = connection.cursor(row_factory=tuple_row)
        cursor.execute(encoded, parameters or None)
        return cursor.fetchall() if cursor.description else []

    return work


class Session:
    """One connection, its open transaction, and what that will have done when it commits."""

    def __init__(self, dsn: str, observer: "psycopg.Connection[Any]") -> None:
        self._connection = psycopg.connect(dsn, autocommit=True)
        self._connection.prepare_threshold = 0
        arrays.register(self._connection)
        self.pid = self._connection.info.backend_pid
        self._observer = observer
        self._thread = ThreadPoolExecutor(1)
        self._future: Future[Rows] | None = None
        self._then: Callable[[Rows], None] = lambda _rows: None
        self.isolation = ""
        #: The names of the steps taken in the transaction that is open; None: none is.
        self.steps: list[str] | None = None
        #: What the open transaction changes, for the reference.
        self.effects: list[Any] = []
        #: All that may be open beside it.
        self.peers: Sequence[Session] = ()
        #: Has no other transaction been open since the last one began?
        self.alone = False
        #: The server has rolled the last transaction back, to break a deadlock for instance.
        self.refused = False

    @property
    def waiting(self) -> bool:
        return self._future is not None

    @property
    def open(self) -> bool:
        return self.steps is not None

    def begin(self, isolation: str = "READ COMMITTED") -> None:
        others = [session for session in self.peers if session.open]
        self.alone = not others
        for session in others:
            session.alone = False
        self.send(sql(f"BEGIN ISOLATION LEVEL {isolation}"))
        self.isolation = isolation
        self.steps, self.effects, self.refused = [], [], False

    def send(self, work: Work, then: Callable[[Rows], None] | None = None) -> bool:
        """Run a statement; `then` is called with its rows, now or when it has stopped waiting.

        False if it waits, or if the server rolled its transaction back.
        """
        assert self._future is None, "one statement at a time"
        self._then = then or (lambda _rows: None)
        self._future = self._thread.submit(work, self._connection)
        return self.watch()

    def watch(self) -> bool:
        """Wait until the statement is done (True), or waits for another session's lock."""
        future = self._future
        if future is None:
            return True
        while True:
            done, _ = concurrent.futures.wait([future], timeout=GLANCE)
            if done:
                break
            if self._is_blocked():
                return False
        self._future = None
        try:
            rows = future.result()
        except ROLLED_BACK:
            self._forget()
            self.refused = True
            return False
        self._then(rows)
        return True

    def _is_blocked(self) -> bool:
        row = self._observer.execute(
            "SELECT pg_blocking_pids(%s) && (SELECT array_agg(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_type = 'client backend')",
            [self.pid],
        ).fetchone()
        return row is not None and bool(row[0])

    def commit(self) -> list[Any]:
        """Commit; returns what the transaction has changed."""
        done = self.send(sql("COMMIT"))
        effects = self.effects if done else []
        self.steps, self.effects = None, []
        return effects

    def roll_back(self) -> None:
        """Roll back, whatever it does: also a statement that waits."""
        if (future := self._future) is not None:
            self._connection.cancel_safe()
            concurrent.futures.wait([future])
            future.exception()
            self._future = None
        self._forget()

    def _forget(self) -> None:
        self._thread.submit(sql("ROLLBACK"), self._connection).result()
        self.steps, self.effects = None, []

    def close(self) -> None:
        self.roll_back()
        self._thread.shutdown()
        self._connection.close()
