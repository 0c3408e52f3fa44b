"""A server as the supervisor sees it: the verbs of a turn, each a request."""

import asyncio
import logging
import math
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec

from ..config.errors import DatabaseError
from ..sql.answers import Beat, CancelRequest, Held, Look, Pull, Row, SourceLost, Turn, Unfit
from ..sql.limits import PerHost, Unlimited
from ..sql.notes import Note
from ..sql.settlement import Entry
from . import protocol
from .channel import REACH_SECONDS, Channel
from .ear import Ear
from .tables import HttpLimits, HttpSchedules
from .talk import Said, Talk, TooLarge
from .token import Token

log = logging.getLogger("wsup.remote")

#: Answers that the next server, or the same one in a moment, may not give.
_PASSING = (429, 500, 502, 503, 504)
#: Answers to what was asked, not to who asks: the server is there all the same.
_OBJECTIONS = {413: TooLarge, 422: Unfit}
#: Seconds by which a waiting turn may be late.
LATE_SECONDS = 10.0
#: Seconds that a connection may take at least, where there are many servers to be tried: with TLS,
#: it takes three times to a server and back.
CONNECT_LEAST = 2.0


class Refused(DatabaseError):
    """The server refuses what is asked, and will do so again."""


class HttpSource:
    """The verbs; each raises SourceLost."""

    #: The server sees to it.
    promotes = False
    #: It is to hear of new jobs.
    direct = True

    def __init__(
        self,
        urls: Sequence[str],
        *,
        token: Token,
        tls: ssl.SSLContext | None = None,
        on_rows: Callable[[list[Row]], None],
        on_heard: Callable[[str], None],
        on_lost: Callable[[str], None],
        wanted: Callable[[], int] | None = None,
        seconds: float = 30.0,
        reach: float = REACH_SECONDS,
        longest_silence: float = math.inf,
    ) -> None:
        #: Of several servers, the one that is used, or is to be tried next, is the first.
        self._urls = deque(urls)
        # So that all have been tried well before the lease is over.
        patience = max(CONNECT_LEAST, reach / len(urls))
        self._make_channel = partial(Channel, tls=tls, reach=reach, patience=patience)
        self._channel = self._make_channel(self._urls[0])
        self._token = token
        self._seconds = seconds
        self.longest_silence = longest_silence
        self._on_lost = on_lost
        self._ear = Ear(
            self._wait,
            rooms=self._rooms,
            wanted=wanted,
            on_rows=on_rows,
            on_heard=on_heard,
            on_lost=self._deaf,
        )
        self.schedules = HttpSchedules(self.ask, self)
        self.limits = HttpLimits(self.ask, self)
        self.per_host: PerHost = Unlimited()
        self.supervisor = 0
        self.connected = False
        #: Why there is no connection, if there is none.
        self.loss = "not connected"
        #: What the token allows.
        self.verbs: Sequence[str] = ()
        self._talk = Talk(self.ask)

    @property
    def hears(self) -> bool:
        return self.connected and self._ear.open

    @property
    def said_asleep(self) -> bool:
        """Has the server been told that jobs are wanted?"""
        return self._ear.most > 0

    async def connect(self) -> None:
        """Agree with a server on how to talk, the first one that can be reached; the one that was
        lost is tried last.

        Raises Refused, SourceLost.
        """
        await self.close()
        for left in reversed(range(len(self._urls))):
            self._channel = self._make_channel(self._urls[0])
            try:
                await self._greet()
                return
            except (Refused, SourceLost):
                self._urls.rotate(-1)
                if not left:
                    raise

    async def _greet(self) -> None:
        self._channel.token = self._token.read()
        hello = protocol.Hello(protocol.OLDEST, protocol.NEWEST, version("wsup"))
        welcome = await self._ask("hello", hello, protocol.Welcome, first=True)
        self._channel.most = max(self._channel.most, welcome.most_bytes)
        self._talk.most_bytes = welcome.most_bytes
        if "schedule" not in welcome.verbs and "schedule" in (self.verbs or ("schedule",)):
            log.info("this token doesn't allow to define schedules and limits: others are to do it")
        self.verbs = welcome.verbs
        self.connected = True

    async def listen(self) -> None:
        self._ear.start(self.supervisor)

    async def close(self) -> None:
        """Idempotent."""
        self.connected = False
        self._ear.stop()
        self._channel.close()
        await asyncio.sleep(0)

    async def ask(self, verb: str, request: object, reply: Any) -> Any:
        """One request. Raises SourceLost; what was asked for may be done, or not."""
        if not self.connected:
            raise SourceLost(self.loss)
        return await self._ask(verb, request, reply)

    async def _ask(
        self,
        verb: str,
        request: object,
        reply: Any,
        *,
        seconds: float | None = None,
        first: bool = False,
    ) -> Any:
        channel = self._channel
        try:
            body = request if isinstance(request, bytes) else protocol.encode(request)
            status, answer = await channel.ask(verb, body, seconds or self._seconds)
            if status == HTTPStatus.OK:
                return protocol.decode(answer, reply)
            kind = _OBJECTIONS.get(status) or (SourceLost if status in _PASSING else Refused)
            raise kind(_said(channel, status, answer))
        except msgspec.DecodeError as error:
            lost = SourceLost(f"{channel.name}: no wsup server answers there: {error}")
            self._lose(channel, str(lost))
            raise lost from error
        except (TooLarge, Unfit):
            raise
        except (SourceLost, Refused) as error:
            self._lose(channel, str(error))
            if first or isinstance(error, SourceLost):
                raise
            raise SourceLost(str(error)) from error

    def _lose(self, channel: Channel, reason: str) -> None:
        channel.close()
        if channel is not self._channel:
            return  # there is another one by now
        if self.connected:
            self._urls.rotate(-1)
        self.connected, self.loss = False, reason

    async def _wait(self, request: protocol.TurnRequest) -> protocol.TurnReply:
        seconds = protocol.WAIT_SECONDS + LATE_SECONDS
        reply: protocol.TurnReply = await self._ask(
            "turn", request, protocol.TurnReply, seconds=seconds
        )
        return reply

    def _deaf(self, reason: str) -> None:
        self._ear.stop()
        self._on_lost(reason)

    async def turn(
        self,
        entries: Sequence[Entry],
        pull: Pull | None,
        *,
        promote: int = 0,
        notes: Sequence[Note] = (),
    ) -> Turn:
        """Results and notes up, jobs down, in one request, or as many as it takes."""
        if pull and self.per_host.tasks and self._ear.most:
            await self._ear.want_nothing()  # or there would be room twice
        rooms = self._rooms(pull.most) if pull else []
        turn = await self._talk.say(self.supervisor, Said(entries, notes), pull, rooms)
        if pull:
            self._ear.lower(pull.most - len(turn.rows))
        return turn

    def _rooms(self, most: int) -> list[tuple[str, int]]:
        """Those that are full, too: the server is to hear of them."""
        if not self.per_host.tasks or not most:
            return []
        rooms = dict(self.per_host.rooms(most))
        return [(task, rooms.get(task, 0)) for task in self.per_host.tasks]

    async def register(self, **columns: Any) -> int:
        del columns["direct"]
        reply = await self.ask("register", protocol.Registration(**columns), protocol.Registered)
        self.supervisor = reply.supervisor
        return self.supervisor

    async def leave(self) -> None:
        self._ear.stop()
        await self.ask("leave", protocol.About(self.supervisor), None)

    async def beat(self, queues: Sequence[str], **columns: Any) -> Beat:
        request = protocol.BeatRequest(
            self.supervisor, columns["jobs_done"], columns["memory"], list(columns["occupancy"])
        )
        reply: protocol.BeatReply = await self.ask("beat", request, protocol.BeatReply)
        if reply.renew:
            self._token.keep(await self.ask("renew", None, str))
            self._channel.token = self._token.read()
        return Beat(
            reply.alive, False, False, None, [], cancelling=reply.cancelling,
            server_time=reply.server_time,
        )  # fmt: skip

    async def server_time(self) -> float:
        """Seconds since 1970, by the database's clock."""
        return float(await self.ask("time", None, float))

    async def sleep(self, queues: Sequence[str], look_every: float, most: int = 1) -> None:
        """Have the server bring jobs as soon as there are any."""
        if not self.connected:
            raise SourceLost(self.loss)
        self._ear.want(queues, max(1, most))

    async def look(self, queues: Sequence[str]) -> Look:
        """The server looks by itself."""
        return Look(ready=False, next_due=None, writers=[])

    async def want_nothing(self) -> None:
        """Have no jobs brought until it sleeps again; what was on its way has come."""
        await self._ear.want_nothing()

    async def predecessor(self, supervisor: int, host: str, pid: int) -> bool:
        request = protocol.PredecessorRequest(supervisor, host, pid)
        return bool(await self.ask("predecessor", request, bool))

    async def rescue(self, dead: int, max_lost: int) -> int:
        return int(await self.ask("rescue", protocol.RescueRequest(dead, max_lost), int))

    async def own_claims(self, since: int, *, routine: bool = False) -> list[Held]:
        """What the database thinks this supervisor holds, in claims from number `since` on. Nothing
        is on its way from the server when this returns."""
        try:
            await self._ear.hush()
            request = protocol.ClaimsRequest(self.supervisor, since, routine)
            held = await self.ask("claims", request, list[tuple[int, int, int]])
        finally:
            self._ear.go_on()
        return [Held(*one) for one in held]

    async def cancelling(self) -> list[CancelRequest]:
        about = protocol.About(self.supervisor)
        requests: list[CancelRequest] = await self.ask("cancelling", about, list[CancelRequest])
        return requests


def _said(channel: Channel, status: int, answer: bytes) -> str:
    try:
        return str(protocol.decode(answer, protocol.Refusal).error)
    except msgspec.DecodeError:
        return (
            f"{channel.name}: no wsup server answers there, but HTTP status {status}: "
            "is --source right?"
        )
