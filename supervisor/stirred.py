"""What looks at the database when it is stirred, or when the last look has said that there will be
more to do: the loop that schedules and limits have in common."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable

from ..sql.answers import SourceLost
from .source import Source

#: Seconds until another try, when the database refuses.
RETRY_SECONDS = 5.0


class Stirred(ABC):
    def __init__(self, name: str, source: Source, on_lost: Callable[[str], None]) -> None:
        """`name`: in the log, and of the logger."""
        self._name = name
        self._source = source
        self._on_lost = on_lost
        self._stopped = False
        self._stir = asyncio.Event()

    def stir(self) -> None:
        """Something may be different now: look. Idempotent."""
        self._stir.set()

    def stop(self) -> None:
        """Look no more; `run` returns. Idempotent."""
        self._stopped = True
        self._stir.set()

    async def run(self) -> None:
        while not self._stopped:
            self._stir.clear()
            pause = None
            try:
                if self._source.connected:  # else, whoever reconnects says so
                    pause = await self._look()
            except SourceLost as error:
                pause = self._refused(str(error))
            try:
                async with asyncio.timeout(pause):
                    await self._stir.wait()
            except TimeoutError:
                pass

    @abstractmethod
    async def _look(self) -> float | None:
        """Do what is to be done now; returns in how many seconds there will be more (None: never,
        by itself). May raise SourceLost."""

    def _refused(self, reason: str) -> float | None:
        """The database didn't do it; returns in how many seconds to try again."""
        if self._stopped:
            return None
        if self._source.connected:
            log = logging.getLogger(f"wsup.{self._name}")
            log.warning("%s: %s; again in %g s", self._name, reason, RETRY_SECONDS)
            return RETRY_SECONDS
        self._on_lost(reason)
        return None
