"""The turn that waits at the server: it brings new jobs as soon as there are any, and calls.

One is always there. When the demand changes, another one is sent, and the server ends the one
before. None is given up on this side: what it has brought would be lost with it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from ..sql.answers import Row, SourceLost
from .protocol import TurnReply, TurnRequest

#: Seconds in which a server must have ended a waiting turn, when it is sent the next one.
HUSH_SECONDS = 10.0


class Ear:
    """`ask` sends a turn, and raises SourceLost; jobs go to `on_rows`, what is called out to
    `on_heard`. When all jobs that were wanted have come, "" is heard."""

    def __init__(
        self,
        ask: Callable[[TurnRequest], Awaitable[TurnReply]],
        *,
        rooms: Callable[[int], list[tuple[str, int]]] = lambda _: [],
        wanted: Callable[[], int] | None = None,
        on_rows: Callable[[list[Row]], None],
        on_heard: Callable[[str], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._ask = ask
        self._rooms = rooms
        #: How many jobs could be taken now; without it, what has come is subtracted.
        self._wanted = wanted
        self._on_rows = on_rows
        self._on_heard = on_heard
        self._on_lost = on_lost
        self._supervisor = 0
        #: Counts up, also beyond an end of this process.
        self._number = time.monotonic_ns() // 1000
        self._queues: Sequence[str] = ()
        #: How many jobs are still wanted.
        self.most = 0
        #: Waiting turns by number, each with the number of jobs that it may bring.
        self._waiting: dict[int, tuple[asyncio.Task[None], int]] = {}
        self._hushed = False

    @property
    def open(self) -> bool:
        return bool(self._waiting)

    def start(self, supervisor: int) -> None:
        """Listen, wanting nothing."""
        self.stop()
        self._supervisor = supervisor
        self._send()

    def stop(self) -> None:
        """Listen no more. What was on its way is lost: compare the claims. Idempotent."""
        waiting, self._waiting = self._waiting, {}
        self.most = 0
        for task, _ in waiting.values():
            task.cancel()

    def want(self, queues: Sequence[str], most: int) -> None:
        """Have up to `most` jobs of these queues brought."""
        self._queues, self.most = queues, most
        self._send()

    def lower(self, most: int) -> None:
        """A turn has asked for what can be taken now, and so many of these jobs have not come: the
        server brings no more than that."""
        if self.most:
            self.most = max(0, most)
            if not self.most:
                asyncio.get_running_loop().call_soon(self._on_heard, "")

    async def hush(self) -> None:
        """Have nothing brought until `go_on`; what was on its way has arrived, or never will."""
        self._hushed = True
        before = [task for task, most in self._waiting.values() if most]
        if before:
            self._send()
            _, late = await asyncio.wait(before, timeout=HUSH_SECONDS)
            if late:
                raise SourceLost(f"the server has not ended a waiting turn in {HUSH_SECONDS:g} s")

    async def want_nothing(self) -> None:
        """Have nothing brought until `want`; what was on its way has arrived, or never will."""
        self.most = 0
        try:
            await self.hush()
        finally:
            self.go_on()

    def go_on(self) -> None:
        self._hushed = False
        if self.most and self._waiting:
            self._send()

    def _send(self) -> None:
        self._number += 1
        most = 0 if self._hushed else self.most
        task = asyncio.get_running_loop().create_task(self._wait(self._number, most))
        self._waiting[self._number] = task, most

    async def _wait(self, number: int, most: int) -> None:
        request = TurnRequest(
            self._supervisor,
            queues=list(self._queues),
            most=most,
            ear=number,
            rooms=self._rooms(most),
        )
        try:
            reply = await self._ask(request)
        except SourceLost as error:
            if self._waiting.pop(number, None):
                self._on_lost(str(error))
            return
        del self._waiting[number]
        self.most = max(0, self.most - len(reply.rows))
        if reply.rows:
            self._on_rows(reply.rows)
            if self._wanted is not None and self.most:
                self.most = self._wanted()
        if number == self._number:
            self._send()
        if reply.rows and not self.most:
            self._on_heard("")
        for payload in reply.heard:
            self._on_heard(payload)
