"""The turns that wait at the server: one of each supervisor, through which it hears, too."""

import asyncio
from collections.abc import Set
from typing import NamedTuple

from ..remote.protocol import WAIT_SECONDS
from ..sql.answers import SourceLost, Turn
from .ask import Ask
from .turns import Turns


class _Waiting(NamedTuple):
    ask: Ask
    heard: list[str]


class Ears:
    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        #: By supervisor: its waiting turn, and the highest number of one.
        self._waiting: dict[int, _Waiting] = {}
        self._newest: dict[int, int] = {}

    @property
    def listening(self) -> int:
        """How many supervisors hear what is called out."""
        return len(self._waiting)

    async def wait(self, ask: Ask, number: int) -> tuple[Turn, list[str]]:
        """Until there are jobs, or something to be heard, or a turn of a higher number waits, or it
        is long enough. Raises SourceLost."""
        supervisor = ask.supervisor
        if number < self._newest.get(supervisor, 0):
            return Turn(), []  # overtaken on its way
        self._newest[supervisor] = number
        if before := self._waiting.get(supervisor):
            self._turns.end(before.ask)
        here = self._waiting[supervisor] = _Waiting(ask, [])
        if ask.most:
            self._turns.ask(ask)
        timer = asyncio.get_running_loop().call_later(WAIT_SECONDS, self._turns.end, ask)
        try:
            return await ask.answer, here.heard
        except asyncio.CancelledError:  # the client has hung up
            self._turns.abandon(ask)
            raise
        finally:
            timer.cancel()
            self._turns.withdraw(ask)
            if self._waiting.get(supervisor) is here:
                del self._waiting[supervisor]

    def forget(self, supervisor: int) -> None:
        """It has left."""
        self._newest.pop(supervisor, None)

    def call_out(self, payload: str, to: Set[int] | None = None) -> None:
        """Tell everybody who listens, or these supervisors."""
        for supervisor, waiting in list(self._waiting.items()):
            if to is None or supervisor in to:
                waiting.heard.append(payload)
                self._turns.end(waiting.ask)

    def end_all(self) -> None:
        """Answer whoever waits."""
        for waiting in list(self._waiting.values()):
            self._turns.end(waiting.ask)

    def fail_all(self, error: SourceLost) -> None:
        """Also those who want no jobs: what the database has called out meanwhile, nobody has
        heard."""
        for waiting in list(self._waiting.values()):
            if not waiting.ask.answer.done():
                waiting.ask.answer.set_exception(error)
