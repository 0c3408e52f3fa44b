"""Limits as the database holds them."""

from collections.abc import Sequence
from typing import Protocol

from .session import Session


class Said(Protocol):
    """What an app's code says of a task, a queue or a key."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def limits(self) -> str:
        """JSON."""


class PerHost(Protocol):
    """The tasks of which each host runs so many jobs at most."""

    @property
    def tasks(self) -> Sequence[str]: ...
    def rooms(self, most: int) -> Sequence[tuple[str, int]]:
        """Those that have room here, and for how many jobs; at most so many."""


class Unlimited:
    tasks: Sequence[str] = ()

    def rooms(self, most: int) -> Sequence[tuple[str, int]]:
        return ()


def open_rooms(
    supervisor: int, queues: Sequence[str], rooms: Sequence[tuple[str, int]]
) -> dict[str, object]:
    """The parameters of pull_per_host.sql."""
    return {
        "supervisor": supervisor,
        "queues": list(queues),
        "tasks": [task for task, _ in rooms],
        "rooms": [room for _, room in rooms],
    }


class LimitTable:
    """The statements; each raises SourceLost."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def define(self, app: str, said: Sequence[Said]) -> list[tuple[str, str, str]]:
        """Make these the app's limits; returns kind and name of those that are others now, each
        with "set" or "lifted"."""
        parameters: dict[str, object] = {
            "app": app,
            "kinds": [each.kind for each in said],
            "names": [each.name for each in said],
            "said": [each.limits for each in said],
        }
        return await self._session.rows("limits_define", parameters, tuple)

    async def per_host(self) -> dict[str, int | None]:
        """The tasks that have streams of their own, and how many of each may run on a host."""
        return dict(await self._session.rows("limits_per_host", [], tuple))
