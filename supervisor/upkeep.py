"""What supervisors do for their database: bury the dead, clear the lanes, remove old jobs."""

from collections.abc import Callable

from ..config.settings import Settings
from ..sql.answers import Beat
from ..sql.source import PostgresSource
from .lanes import Lanes
from .liveness import Witness
from .retention import Retention


class Upkeep:
    def __init__(self, source: PostgresSource, dsn: str, settings: Callable[[], Settings]) -> None:
        first = settings()
        self._witness = Witness(source, first.max_lost)
        self._lanes = Lanes(PostgresSource(dsn, statement_seconds=first.statement_timeout))
        self._retention = Retention(dsn, settings, lambda: source.supervisor)

    @property
    def next_verdict(self) -> float:
        """When another supervisor may be found dead, on the monotonic clock; or infinity."""
        return self._witness.next_verdict

    def reconnected(self) -> None:
        """The connection was lost: what was seen of the others before it counts no longer."""
        self._witness.reconnected()

    async def look_after(self, beat: Beat) -> int:
        """Do what this beat asks for. Returns how many jobs of the dead were freed.

        Raises SourceLost.
        """
        freed = 0
        if beat.claimed:
            freed = await self._witness.look()
        else:
            self._witness.forget()
        self._lanes.look_after(beat.dead_rows)
        self._retention.look_after()
        return freed

    async def stop(self) -> None:
        """Idempotent."""
        await self._lanes.stop()
        await self._retention.stop()
