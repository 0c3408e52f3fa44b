"""Schedules as the database holds them."""

from collections.abc import Sequence
from typing import NamedTuple

from .bounds import Integer, Moment, Name, Smallint, Text
from .session import Session


class Scheduled(NamedTuple):
    """A schedule, and when it was read: the first column, by the server's
    clock."""

    read_at: Moment
    name: Text
    cron: Text | None
    timezone: Text
    every: float | None
    catch_up: Text
    revision: Integer
    paused: bool
    next_tick: Moment | None


class Definition(NamedTuple):
    """What an app's code says of a schedule."""

    name: Text
    task: Text
    queue: Name
    priority: Smallint
    #: JSON.
    args: Text
    cron: Text | None
    timezone: Text
    #: Seconds.
    every: float | None
    catch_up: Text


class Move(NamedTuple):
    """From the tick that was seen on to the next one, with a job for each of `ticks`."""

    seen: Scheduled
    next_tick: Moment
    ticks: Sequence[Moment] = ()
    #: Some ticks were missed, and are not caught up.
    skipped: bool = False


class ScheduleTable:
    """The statements; each raises SourceLost."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def define(self, app: str, definitions: Sequence[Definition]) -> list[tuple[str, str]]:
        """Make these the app's schedules; returns the names of those that are others now, each
        with "added", "changed" or "removed"."""
        columns = {
            plural: [getattr(each, name) for each in definitions]
            for name, plural in _PLURALS.items()
        }
        return await self._session.rows("schedules_define", {"app": app, **columns}, tuple)

    async def define_queues(
        self, app: str, queues: Sequence[tuple[str, bool, float]]
    ) -> list[tuple[str, str]]:
        """Make the orders of queues (name, fair, ageing in seconds) what the app says; returns the
        names of those that are others now, each with "set" or "reset"."""
        names, fairs, ageings = zip(*queues, strict=True) if queues else ((), (), ())
        values: dict[str, object] = {
            "app": app,
            "names": list(names),
            "fairs": list(fairs),
            "ageings": list(ageings),
        }
        return await self._session.rows("queues_define", values, tuple)

    async def read(self, app: str) -> list[Scheduled]:
        """The app's schedules by name."""
        return await self._session.rows("schedules_read", [app], lambda row: Scheduled(*row))

    async def tick(self, app: str, moves: Sequence[Move]) -> set[str]:
        """Make what has been seen of these, all at the same time, what was; returns the names of
        those that nobody had moved before."""
        if not moves:
            return set()
        ordered = sorted(moves, key=lambda move: move.seen.name)
        jobs = [(number, at) for number, move in enumerate(ordered, 1) for at in move.ticks]
        parameters: dict[str, object] = {
            "app": app,
            "now": max(move.seen.read_at for move in ordered),
            "names": [move.seen.name for move in ordered],
            "revisions": [move.seen.revision for move in ordered],
            "seen": [move.seen.next_tick for move in ordered],
            "nexts": [move.next_tick for move in ordered],
            "schedules": [number for number, _ in jobs],
            "ticks": [at for _, at in jobs],
        }
        return set(await self._session.rows("schedules_tick", parameters, lambda row: row[0]))


#: The parameters of schedules_define.sql.
_PLURALS = {
    "name": "names",
    "task": "tasks",
    "queue": "queues",
    "priority": "priorities",
    "args": "args",
    "cron": "crons",
    "timezone": "timezones",
    "every": "everys",
    "catch_up": "catch_ups",
}
