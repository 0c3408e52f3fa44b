"""HTTP: a request is read, its token looked at, its verb asked, the answer written.

ASGI by hand: a router and request objects would take as long as all the rest of a turn.
"""

import asyncio
import logging
import zlib
from bisect import bisect_right
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from itertools import accumulate
from typing import Any

import msgspec

from ..remote import packing, protocol
from ..sql.answers import SourceLost, Unfit
from .agent import Agent
from .desk import Desk
from .errors import (
    FAULT,
    Denied,
    Headers,
    Malformed,
    NotLet,
    Refused,
    TooMuch,
    TooSlow,
    Unknown,
    WrongMethod,
)
from .verb import Given, Verb

log = logging.getLogger("wsup.server")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

App = Callable[[Message, Receive, Send], Awaitable[None]]

PREFIX = "/v1/"
#: The status, in counts alone, of answers that nobody waited for.
GONE = 499
#: Seconds in which the body of a request must have come.
BODY_SECONDS = 20.0
_HEADERS = [(b"content-type", protocol.MEDIA.encode())]


class Web:
    """The protocol's requests. `identify` takes what the authorization header says."""

    def __init__(
        self, desk: Desk, identify: Callable[[bytes | None], Agent], *, most_bytes: int
    ) -> None:
        self._desk = desk
        self._identify = identify
        self._most_bytes = most_bytes
        #: Answers by verb and status.
        self.counts: dict[tuple[str, int], int] = {}
        #: Who answers what is not of the protocol.
        self.others: App = _nothing

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith(PREFIX):
            await self.others(scope, receive, send)
            return
        status = await self._speak(scope, receive, send)
        verb = scope["path"].removeprefix(PREFIX)
        counted = verb if verb in self._desk.verbs else "", status
        self.counts[counted] = self.counts.get(counted, 0) + 1

    async def _speak(self, scope: Message, receive: Receive, send: Send) -> int:
        """Answer; returns the status, 499 if nobody was there any more."""
        headers = dict(scope["headers"])
        packs = b"gzip" in headers.get(b"accept-encoding", b"")
        try:
            given = await self._answer(scope, headers, receive)
        except _Gone:
            return GONE
        except Exception as error:  # whatever it is, it is told
            return await _refuse(send, scope["path"], error)
        if given.rows and await _has_hung_up(receive):
            self._desk.give_back(given)
            return GONE
        await _write(send, HTTPStatus.OK, self._fitting(given), [], packs=packs)
        return HTTPStatus.OK

    async def _answer(self, scope: Message, headers: dict[bytes, bytes], receive: Receive) -> Given:
        path = scope["path"]
        verb = self._desk.verbs.get(path.removeprefix(PREFIX))
        if verb is None:
            raise Unknown(f"there is no {path} here")
        if scope["method"] != "POST":
            raise WrongMethod(f"{scope['method']} {path}: send a POST")
        agent = self._identify(headers.get(b"authorization"))
        if verb.needs not in agent.verbs:
            raise NotLet(
                f"the token of {agent.name} doesn't allow to {verb.needs}: "
                f"have one issued that does (wsup token issue --verbs …)"
            )
        request = await _read(await self._body(headers, receive), headers, verb, self._most_bytes)
        answering = asyncio.ensure_future(verb.answer(agent, request))
        if not (isinstance(request, protocol.TurnRequest) and request.ear):
            return _given(await answering)
        return _given(await _unless_hung_up(answering, receive))

    def _fitting(self, given: Given) -> bytes:
        """The answer; of its jobs, those that are too many for one go to others. One by itself may
        be as large as it is."""
        rows, body = given.rows, protocol.encode(given.reply)
        if len(body) <= self._most_bytes or len(rows) <= 1:
            return body
        sizes = [len(protocol.encode(row)) for row in rows]
        total = list(accumulate(sizes, initial=len(body) - sum(sizes)))
        kept = max(1, bisect_right(total, self._most_bytes) - 1)
        given.reply.rows = rows[:kept]
        self._desk.give_back(given._replace(rows=rows[kept:]))
        return protocol.encode(given.reply)

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        try:
            said = int(headers.get(b"content-length", b"0"))
        except ValueError:
            raise Malformed("content-length is not a number") from None
        parts, size, more = [], 0, True
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while more:
                    if max(said, size) > self._most_bytes:
                        raise TooMuch(f"a request may have {self._most_bytes} bytes: send less")
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    part = message.get("body", b"")
                    parts.append(part)
                    size += len(part)
                    more = message.get("more_body", False)
        except TimeoutError:
            raise TooSlow(f"the request was not there within {BODY_SECONDS:g} s") from None
        return parts[0] if len(parts) == 1 else b"".join(parts)


class _Gone(Exception):
    """The client has hung up."""


async def _read(body: bytes, headers: dict[bytes, bytes], verb: Verb, most: int) -> Any:
    if verb.request is None:
        return None
    try:
        if headers.get(b"content-encoding") == b"gzip":
            # A small one may unpack to the most there may be: others are served meanwhile.
            body = await asyncio.to_thread(packing.unpacked, body, most)
        return protocol.decode(body, verb.request)
    except packing.TooLarge:
        raise TooMuch(f"a request may have {most} bytes, unpacked: send less") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError, zlib.error) as error:
        raise Malformed(f"the request can't be read: {error}") from None


def _given(answer: Any) -> Given:
    return answer if isinstance(answer, Given) else Given(answer)


async def _unless_hung_up(answering: asyncio.Future[Any], receive: Receive) -> Any:
    """The answer; or, if the client hangs up before that, an end to it."""
    hanging_up = asyncio.ensure_future(receive())
    try:
        await asyncio.wait((answering, hanging_up), return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            return answering.result()
        answering.cancel()
        await asyncio.wait((answering,))
        raise _Gone
    finally:
        hanging_up.cancel()


async def _has_hung_up(receive: Receive) -> bool:
    """Has the client gone, as far as is known?"""
    hanging_up = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    gone = hanging_up.done() and hanging_up.result()["type"] == "http.disconnect"
    hanging_up.cancel()
    return gone


async def _refuse(send: Send, path: str, error: Exception) -> int:
    """Say why not; returns the status."""
    status, said, headers = HTTPStatus.SERVICE_UNAVAILABLE.value, str(error), Denied.headers
    if isinstance(error, Denied):
        status, headers = error.status, error.headers
    elif isinstance(error, Unfit):
        status, said = Refused.status, f"the database refuses that: {error}"
    elif not isinstance(error, SourceLost):
        log.error("a fault of wsup's own, at %s", path, exc_info=error)
        status = HTTPStatus.INTERNAL_SERVER_ERROR.value
        said = FAULT
    await _write(send, status, protocol.encode(protocol.Refusal(said)), headers)
    return status


async def _nothing(scope: Message, receive: Receive, send: Send) -> None:
    path = scope["path"]
    await _refuse(send, path, Unknown(f"there is no {path} here"))


async def _write(
    send: Send, status: int, body: bytes, headers: Headers, *, packs: bool = False
) -> None:
    if packs and len(body) >= packing.WORTH_BYTES:
        is_long = len(body) >= packing.LONG_BYTES
        body = await asyncio.to_thread(packing.packed, body) if is_long else packing.packed(body)
        headers = [*headers, (b"content-encoding", b"gzip")]
    headers = [*_HEADERS, *headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
