"""The schedules and limits of apps: one look at the database serves all agents that ask.

What was read is good until the database calls out that it has changed, or a tick has moved it.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

from ..remote import protocol
from ..sql.schedules import Move, Scheduled
from ..sql.source import PostgresSource
from .agent import Agent
from .remembered import Remembered
from .verb import Verb

#: Seconds for which what was read is good. Agents look every minute.
READ_SECONDS = 50.0


class Tables:
    """`poll`: seconds between looks while nothing is called out."""

    def __init__(self, source: PostgresSource, *, poll: float) -> None:
        self._source = source
        self._poll = poll
        self._schedules: Remembered[list[Scheduled]] = Remembered(self._most_age)
        self._limits: Remembered[dict[str, int | None]] = Remembered(self._most_age)
        #: Held by the tick that is under way.
        self._ticking = asyncio.Lock()

    def _most_age(self) -> float:
        return READ_SECONDS if self._source.hears else self._poll

    def verbs(self) -> dict[str, Verb]:
        p = protocol
        changes = list[tuple[str, str]]
        limits, per_host = list[tuple[str, str, str]], dict[str, int | None]
        seen = list[Scheduled]
        return {
            "schedules/define": Verb(
                "Define schedules.", p.Define, self._define, changes, "schedule"
            ),
            "schedules/queues": Verb(
                "Define orders of queues.", p.DefineQueues, self._define_queues, changes, "schedule"
            ),
            "schedules/read": Verb("Read schedules.", p.Read, self._read, seen, "schedule"),
            "schedules/tick": Verb("Make jobs of ticks.", p.Tick, self._tick, set[str], "schedule"),
            "limits/define": Verb(
                "Define limits.", p.DefineLimits, self._define_limits, limits, "schedule"
            ),
            "limits/per_host": Verb("Tell limits of hosts.", None, self._per_host, per_host),
        }

    def forget(self) -> None:
        """Anything may be different now. Idempotent."""
        self._schedules.forget()
        self._limits.forget()

    async def _define(self, agent: Agent, request: protocol.Define) -> list[tuple[str, str]]:
        try:
            return await self._source.schedules.define(request.app, request.definitions)
        finally:
            self._schedules.forget(request.app)

    async def _define_queues(
        self, agent: Agent, request: protocol.DefineQueues
    ) -> list[tuple[str, str]]:
        return await self._source.schedules.define_queues(request.app, request.queues)

    async def _read(self, agent: Agent, request: protocol.Read) -> list[Scheduled]:
        read_at, found = await self._schedules.get(
            request.app, lambda: self._source.schedules.read(request.app)
        )
        since = timedelta(seconds=time.monotonic() - read_at)
        return [seen._replace(read_at=seen.read_at + since) for seen in found]

    async def _tick(self, agent: Agent, request: protocol.Tick) -> set[str]:
        """One after the other: all agents come at the same moment, and the first one does it."""
        async with self._ticking:
            now = await self._read(agent, protocol.Read(request.app))
            if not _is_news(now, request.moves):
                return set()
            try:
                return await self._source.schedules.tick(request.app, request.moves)
            finally:
                self._schedules.forget(request.app)

    async def _define_limits(
        self, agent: Agent, request: protocol.DefineLimits
    ) -> list[tuple[str, str, str]]:
        try:
            return await self._source.limits.define(request.app, request.said)
        finally:
            self._limits.forget()

    async def _per_host(self, agent: Agent, request: None) -> dict[str, int | None]:
        _, found = await self._limits.get("", self._source.limits.per_host)
        return found


def _is_news(now: Sequence[Scheduled], moves: Sequence[Move]) -> bool:
    """Is any of these still as it was when it was seen?"""
    places = {(seen.name, seen.revision, seen.next_tick) for seen in now if not seen.paused}
    return any(
        (move.seen.name, move.seen.revision, move.seen.next_tick) in places for move in moves
    )
