"""PostgreSQL as the origin of jobs: the first connection, and what is opened afterwards."""

from collections.abc import Callable

from ..config.errors import Unreachable
from ..config.settings import Settings
from ..sql.backend import refuse_read_only
from ..sql.connect import connect, redact
from ..sql.direct import check_listen
from ..sql.listener import SERVED, Listener
from ..sql.migrate import check
from ..sql.source import PostgresSource
from .first_look import look_patiently
from .source import Ears, Source
from .upkeep import Upkeep


class Database:
    """`listen` is the DSN of the direct connection, if there is to be one."""

    def __init__(self, dsn: str, listen: str | None) -> None:
        self._dsn = dsn
        self._listen = listen
        self.name = redact(dsn)

    def first_look(self, tries: int) -> None:
        """See that it is there, migrated and fit; a line a try. Raises DatabaseError."""
        look_patiently(self._look, tries, Unreachable)

    def _look(self) -> None:
        with connect(self._dsn) as connection:
            check(connection)
            refuse_read_only(connection)
            check_listen(connection, self._dsn, self._listen)

    def open(
        self, settings: Callable[[], Settings], ears: Ears, *, agent: str | None = None
    ) -> tuple[Source, Upkeep]:
        """Both ends of the seam, not connected yet. `agent`: how a server calls this host, too."""
        first = settings()
        limit = min(first.statement_timeout, first.lease / 2)
        channels = [] if agent is None else [SERVED]
        listener = Listener(
            self._listen, ears.hear, ears.lose, channels=channels, statement_seconds=limit
        )
        source = PostgresSource(self._dsn, listener=listener, agent=agent, statement_seconds=limit)
        return source, Upkeep(source, self._dsn, settings)
