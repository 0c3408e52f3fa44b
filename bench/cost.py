"""What a stretch of work has cost: CPU by process, statements, transactions, WAL.

pg_stat_statements counts a prepared BEGIN or COMMIT the first time only, and wsup prepares them. So
one of each is added for every transaction that has written, whether the supervisor's or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import BenchError
from .processes import cpu_seconds
from .statements import statement

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

    from .supervisor import Supervisor

    Connection = psycopg.Connection[tuple[Any, ...]]


class Cost(NamedTuple):
    """Seconds of CPU, and counts."""

    supervisor: float
    subworkers: float
    #: The supervisor's own backends.
    backends: float
    #: The supervisor's, with BEGIN and COMMIT.
    statements: int
    #: Transactions that have written: COMMIT records.
    transactions: int
    #: Bytes of WAL records, full page images apart.
    wal: int


class Meter:
    """Reads all the counters when it is made, and again in `read`."""

    def __init__(self, connection: Connection, supervisor: Supervisor) -> None:
        self._connection = connection
        self._pids: tuple[Iterable[int], ...] = (
            [supervisor.pid],
            supervisor.subworkers,
            [row[0] for row in connection.execute(statement("worker_backends"))],
        )
        connection.execute(statement("reset_statements"))
        self._wal = self._value("wal_position")
        self._cpu = [cpu_seconds(pids) for pids in self._pids]

    def read(self) -> Cost:
        """The cost since then."""
        used = [cpu_seconds(pids) for pids in self._pids]
        counted = int(self._value("count_statements"))
        wal = self._value("wal_position")
        row = self._connection.execute(statement("read_wal"), [self._wal, wal]).fetchone()
        if row is None:
            raise BenchError("the WAL of this stretch is gone")
        supervisor, subworkers, backends = (b - a for a, b in zip(self._cpu, used, strict=True))
        transactions = int(row[0])
        statements = counted + 2 * transactions
        return Cost(supervisor, subworkers, backends, statements, transactions, int(row[1]))

    def _value(self, name: str) -> Any:
        row = self._connection.execute(statement(name)).fetchone()
        assert row is not None
        return row[0]
