"""The schedules and limits of an app, by way of a server."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from ..sql.limits import Said
from ..sql.schedules import Definition, Move, Scheduled
from . import protocol

Ask = Callable[[str, object, Any], Awaitable[Any]]


class Link(Protocol):
    #: What the token allows.
    verbs: Sequence[str]


class _Table:
    """`ask` sends a verb and its request, and returns the answer; it raises SourceLost. What the
    token doesn't allow is left to those whose token does."""

    def __init__(self, ask: Ask, link: Link) -> None:
        self._ask = ask
        self._link = link

    @property
    def _is_let(self) -> bool:
        return "schedule" in self._link.verbs


class HttpSchedules(_Table):
    async def define(self, app: str, definitions: Sequence[Definition]) -> list[tuple[str, str]]:
        if not self._is_let:
            return []
        request = protocol.Define(app, definitions)
        changes: list[tuple[str, str]] = await self._ask(
            "schedules/define", request, list[tuple[str, str]]
        )
        return changes

    async def define_queues(
        self, app: str, queues: Sequence[tuple[str, bool, float]]
    ) -> list[tuple[str, str]]:
        if not self._is_let:
            return []
        request = protocol.DefineQueues(app, list(queues))
        changes: list[tuple[str, str]] = await self._ask(
            "schedules/queues", request, list[tuple[str, str]]
        )
        return changes

    async def read(self, app: str) -> list[Scheduled]:
        if not self._is_let:
            return []
        found: list[Scheduled] = await self._ask(
            "schedules/read", protocol.Read(app), list[Scheduled]
        )
        return found

    async def tick(self, app: str, moves: Sequence[Move]) -> set[str]:
        ticked: set[str] = await self._ask("schedules/tick", protocol.Tick(app, moves), set[str])
        return ticked


class HttpLimits(_Table):
    async def define(self, app: str, said: Sequence[Said]) -> list[tuple[str, str, str]]:
        if not self._is_let:
            return []
        limits = [protocol.Limited(each.kind, each.name, each.limits) for each in said]
        changes: list[tuple[str, str, str]] = await self._ask(
            "limits/define", protocol.DefineLimits(app, limits), list[tuple[str, str, str]]
        )
        return changes

    async def per_host(self) -> dict[str, int | None]:
        found: dict[str, int | None] = await self._ask(
            "limits/per_host", None, dict[str, int | None]
        )
        return found
