"""What a stretch of work costs, whoever does it: CPU of the process trees, statements, WAL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..processes import cpu_seconds, family_seconds
from .statements import statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]


class Cost(NamedTuple):
    """Seconds of CPU, counts, and bytes."""

    #: The workers and all that they have started.
    workers: float
    #: Of these, the processes that were started, without what they have started.
    mains: float
    #: PostgreSQL with all of its processes (and Redis).
    servers: float
    #: The workers' statements, without BEGIN, COMMIT and the like.
    statements: int
    #: Transactions that have written: COMMIT records in the WAL.
    commits: int
    #: Bytes of WAL records, full page images apart.
    wal: int


class Meter:
    """Reads all counters when it is made, and again in `read`."""

    def __init__(
        self, connection: Connection, workers: Sequence[int], servers: Sequence[int]
    ) -> None:
        self._connection = connection
        self._roots = (workers, servers)
        connection.execute(statement("reset_statements"))
        self._position = value(connection, "wal_position")
        self._cpu = self._seconds()

    def read(self) -> Cost:
        """The cost since then."""
        spent = (b - a for a, b in zip(self._cpu, self._seconds(), strict=True))
        workers, servers, mains = spent
        statements = int(value(self._connection, "count_statements"))
        commits, wal = written_since(self._connection, self._position)
        return Cost(workers, mains, servers, statements, commits, wal)

    def _seconds(self) -> list[float]:
        return [*(family_seconds(roots) for roots in self._roots), cpu_seconds(self._roots[0])]


def written_since(connection: Connection, position: str) -> tuple[int, int]:
    """COMMIT records, and bytes of records without page images, in the WAL from a position on."""
    now = value(connection, "wal_position")
    if now == position:
        return 0, 0  # systems beside PostgreSQL; to read from the end of the WAL is an error
    row = connection.execute(statement("read_wal"), [position, now]).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def value(connection: Connection, name: str) -> Any:
    """What a statement with one row of one column returns."""
    row = connection.execute(statement(name)).fetchone()
    assert row is not None
    return row[0]
