"""The server without its HTTP: what pulls, commits and keeps watch, wired together."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from ..config.errors import DatabaseError
from ..config.settings import Settings
from ..sql.answers import Beat, SourceLost, subscribed
from ..sql.listener import SERVED, Listener
from ..sql.source import PostgresSource
from ..supervisor.due import Due
from ..supervisor.sleep import Sleep
from ..supervisor.upkeep import Upkeep
from .desk import Desk
from .ears import Ears
from .life import Life
from .tables import Tables
from .turns import Turns

log = logging.getLogger("wsup.server")

#: Seconds between tries to reconnect: doubling from first to last.
RECONNECT_FIRST, RECONNECT_LAST = 0.1, 2.0


class Core:
    def __init__(self, settings: Settings, dsn: str, listen: str | None, most_bytes: int) -> None:
        self._settings = settings
        limit = min(settings.statement_timeout, settings.lease / 2)
        listener = Listener(
            listen, self._hear, self.lose, channels=[SERVED], statement_seconds=limit
        )
        self.source = PostgresSource(dsn, listener=listener, statement_seconds=limit)
        self._upkeep = Upkeep(self.source, dsn, lambda: settings)
        self._due, self._tokens = Due(self._fall_due), Due(self._fall_due)
        self.turns = Turns(
            self.source,
            safe=lambda: self._sleep.safe,
            on_dry=self._dry,
            on_due=self._due.expect,
            on_streams=self._streams_changed,
            on_lost=self.lose,
        )
        self.source.per_host = self.turns
        self._sleep = Sleep(
            self.source,
            poll=settings.poll,
            wanted=lambda: 1,
            on_wake=self.turns.go,
            on_due=self._due.expect,
        )
        self.life = Life(
            self.source,
            self._upkeep,
            settings,
            # What is ready is asked for by who sleeps.
            queues=lambda: self._streams() if self._sleep.wanted else [],
            jobs_done=lambda: self.turns.settled,
            on_beat=self._beaten,
            on_buried=self._buried,
            on_lost=self.lose,
        )
        self.tables = Tables(self.source, poll=settings.poll)
        self.ears = Ears(self.turns)
        self.desk = Desk(
            self.source, self.turns, self.ears, self.life, self.tables, most_bytes=most_bytes
        )
        #: Called with what concerns tokens.
        self.on_tokens: Callable[[], None] = lambda: None
        self.on_connected: Callable[[], Any] = lambda: None
        self._reconnecting: asyncio.Task[None] | None = None
        self._cancelling: asyncio.Task[None] | None = None
        self._cancel_again = False
        self._tasks: list[asyncio.Task[None]] = []
        self._registered = False

    async def start(self) -> None:
        """Raises DatabaseError, SourceLost."""
        await self._connect()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self.turns.run()), loop.create_task(self.life.run())]

    async def stop(self) -> None:
        """Answer everybody, say goodbye. Idempotent."""
        self.turns.stop()
        self.ears.end_all()
        for task in (*self._tasks, self._reconnecting, self._cancelling):
            if task is not None:
                task.cancel()
                await asyncio.wait((task,))
        self._sleep.stop()
        if self.source.connected and self._registered:
            self._registered = False
            try:
                await self.source.leave()
            except SourceLost as error:
                log.warning("could not sign off: %s", error)
        await self._upkeep.stop()
        await self.source.close()

    async def _connect(self) -> None:
        source = self.source
        if not source.connected:
            await source.connect()
        if not self._registered or not await source.predecessor(
            source.supervisor, socket.gethostname(), os.getpid()
        ):
            number = await source.register(
                host=socket.gethostname(), pid=os.getpid(), version=version("wsup"), queues=[],
                subworkers=0, lease=self._settings.lease, direct=source.direct,
                cpus=len(os.sched_getaffinity(0)),
            )  # fmt: skip
            self._registered = True
            log.info("registered as supervisor %d", number)
        self._upkeep.reconnected()
        await source.listen()
        self.tables.forget()  # while nobody listened, they may have become others
        self._sleep.must_say = True
        self.turns.go()
        await self.life.beat()
        self.on_connected()

    def lose(self, reason: str) -> None:
        """The database is lost: nobody is kept waiting, and it is tried to reconnect."""
        if self._reconnecting is None:
            log.warning("the database is lost: %s", reason)
            self._sleep.stop()
            error = SourceLost(f"the server has lost its database: {reason}")
            self.turns.fail_all(error)
            self.ears.fail_all(error)
            self._reconnecting = asyncio.get_running_loop().create_task(self._reconnect())

    async def _reconnect(self) -> None:
        pause = 0.0
        while True:
            await asyncio.sleep(pause)
            pause = min(max(2 * pause, RECONNECT_FIRST), RECONNECT_LAST)
            try:
                await self._connect()
                break
            except (DatabaseError, SourceLost) as error:
                log.warning("%s; again in %.1f s", error, pause)
        self._reconnecting = None
        log.info("connected again")

    def checks(self) -> dict[str, str]:
        """By the name of a check, what is wrong; "" if nothing is."""
        source = self.source
        stopped = [task for task in self._tasks if task.done()]
        late = self.life.age > self._settings.lease / 2
        return {
            "database": "" if source.connected else source.loss,
            "notifications": "" if source.hears or not source.direct else "not listening",
            "turns": "a loop of the server's own has ended: see its log" if stopped else "",
            "life": f"no sign of life for {self.life.age:.0f} s" if late else "",
        }

    def is_whole(self) -> bool:
        """Are both connections there, and nothing known to be wrong?"""
        source = self.source
        return source.connected and (source.hears or not source.direct)

    # awake and asleep

    def _hear(self, payload: str) -> None:
        match payload:
            case "claimed":
                self.life.busy()
            case "schedules" | "limits":
                self.tables.forget()
                self.ears.call_out(payload)
            case "cancel":
                self._cancel()
            case "tokens":
                self.on_tokens()
            case "marks":
                self._sleep.come_back()
            case "":
                self._sleep.wake()
            case _ if payload.startswith("token "):  # in so many seconds, one more job may start
                self._tokens.expect_also(float(payload.removeprefix("token ")))
            case _:
                self._sleep.doubt()
                self._sleep.wake()

    def _dry(self, queues: list[str]) -> None:
        if queues != self._sleep.queues:
            self._sleep.queues = queues
            self._sleep.must_say = True
        self._sleep.begin()

    def _streams_changed(self) -> None:
        self._sleep.must_say = True

    def _streams(self) -> list[str]:
        """What is looked at by a sign of life."""
        tasks = [task for task, _ in self.turns.rooms(1)]
        return subscribed(self._sleep.queues, tasks)

    def _fall_due(self) -> None:
        self.turns.promote_now = True
        self._sleep.wake()

    def _beaten(self, beat: Beat) -> None:
        self._due.expect(beat.next_due)
        if beat.cancelling:
            self._cancel()
        else:
            self.life.cancelling = frozenset()
        if beat.ready and self._sleep.wanted:
            self._sleep.wake()

    def _cancel(self) -> None:
        """Jobs are to be cancelled: tell those who hold them. Idempotent."""
        self._cancel_again = True
        if self._cancelling is None:
            self._cancelling = asyncio.get_running_loop().create_task(self._tell_holders())

    async def _tell_holders(self) -> None:
        try:
            while self._cancel_again:
                self._cancel_again = False
                await self.source.cancelling()  # has requests removed whose job is over
                self.life.cancelling = await self.source.serving.cancel_holders()
                self.ears.call_out("cancel", self.life.cancelling)
        except SourceLost as error:
            log.debug("while looking for requests, which the next beat will find: %s", error)
        finally:
            self._cancelling = None

    def _buried(self) -> None:
        """Others took this server for dead. It holds nothing; whom it serves has a life of its
        own."""
        log.error("taken for dead; registering anew")
        self._registered = False
        self.lose("others have buried this server")
