"""HTTP/1.1 connections to one server, kept alive: a request each at a time.

httpx takes a millisecond for a round trip on loopback, of which a turn that finds nothing to do has
hardly any to spare; this takes 0.1 to 0.2.
"""

import asyncio
import os
import socket
import ssl
from typing import cast
from urllib.parse import urlsplit

import httptools

from ..config.addresses import is_loopback
from ..sql.answers import SourceLost
from . import packing, vigil
from .protocol import MEDIA

#: Seconds without a sign of a server after which it is out of reach, if nothing else is said.
REACH_SECONDS = 10.0
#: By OpenSSL's number for what is wrong with a certificate: its dates, its names.
_REMEDIES = dict.fromkeys((9, 10), "have it renewed")
_REMEDIES |= dict.fromkeys((62, 64), "name the server in --source as its certificate does")


class Channel:
    """The connections; `ask` takes one that is free, or makes one more.

    After `reach` seconds without a sign of the server a connection ends; to make one may take
    `patience` seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        tls: ssl.SSLContext | None = None,
        reach: float = REACH_SECONDS,
        patience: float = REACH_SECONDS,
    ) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._reach = reach
        self._patience = patience
        self._path = parts.path.rstrip("/")
        self.name = parts.netloc.rpartition("@")[2]
        self._answered = False
        #: On the same machine the network is quicker than any packer.
        self._packs = not is_loopback(self._host)
        self._free: list[_Connection] = []
        self._all: set[_Connection] = set()
        #: The token; read anew by each request.
        self.token = ""
        #: Bytes that an answer may have.
        self.most = 1 << 30

    async def ask(self, verb: str, body: bytes, seconds: float) -> tuple[int, bytes]:
        """Returns the status and the body of the answer. Raises SourceLost."""
        try:
            async with asyncio.timeout(seconds):
                connection = await self._connection()
                answer = await connection.ask(self._request(verb, body))
        except TimeoutError:
            raise SourceLost(f"{self.name}: no answer within {seconds:g} s") from None
        except (OSError, ssl.SSLError, httptools.HttpParserError) as error:
            raise SourceLost(f"{self.name}: {self._why(error)}") from error
        self._answered = True
        if connection.usable:
            self._free.append(connection)
        return answer

    async def _connection(self) -> "_Connection":
        while self._free:
            connection = self._free.pop()
            if connection.usable:
                return connection
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._patience):
                transport, connection = await loop.create_connection(
                    lambda: _Connection(self._all, self.most), self._host, self._port, ssl=self._tls
                )
        except TimeoutError:
            raise OSError(f"can't be reached within {self._patience:g} s") from None
        vigil.keep(transport, self._reach)
        return connection

    def _request(self, verb: str, body: bytes) -> bytes:
        encoding = ""
        if self._packs and len(body) >= packing.WORTH_BYTES:
            body, encoding = packing.packed(body), "content-encoding: gzip\r\n"
        accept = "accept-encoding: gzip\r\n" if self._packs else ""
        head = (
            f"POST {self._path}/v1/{verb} HTTP/1.1\r\nhost: {self.name}\r\n"
            f"authorization: Bearer {self.token}\r\ncontent-type: {MEDIA}\r\n"
            f"{accept}{encoding}content-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def _why(self, error: Exception) -> str:
        if isinstance(error, ConnectionResetError) and not (self._answered or self._tls):
            return "the server has closed the connection: does it speak https?"
        return _why(error)

    def close(self) -> None:
        """End them all; who waits for an answer is told. Idempotent."""
        self._free.clear()
        for connection in list(self._all):
            connection.end()


class _Connection(asyncio.Protocol):
    def __init__(self, all_of_them: "set[_Connection]", most: int) -> None:
        self._all = all_of_them
        self._most = most
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._begin()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._size = 0
        self._is_packed = False

    @property
    def usable(self) -> bool:
        """May another request go this way?"""
        transport = self._transport
        return transport is not None and not transport.is_closing() and self._answer is None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Raises OSError, httptools.HttpParserError."""
        if self._transport is None:
            raise ConnectionResetError("the connection is closed")
        answer = self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            status, body = await answer
        except asyncio.CancelledError:
            self.end()  # what comes would be taken for the next one's
            raise
        finally:
            self._answer = None
        return status, body

    def end(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._fail(ConnectionResetError("the connection was given up"))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    # called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._all.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, OSError) as error:
            self._fail(error)
            self.end()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._all.discard(self)
        if isinstance(error, TimeoutError):  # the kernel's: see vigil.py
            error = ConnectionAbortedError("it can't be reached any more")
        self._fail(error or ConnectionResetError("the server has closed the connection"))

    # called by the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-encoding":
            self._is_packed = value == b"gzip"

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > self._most:
            raise OSError("its answer is too large")
        self._parts.append(body)

    def on_message_complete(self) -> None:
        body = b"".join(self._parts)
        status, keep = self._parser.get_status_code(), self._parser.should_keep_alive()
        if self._is_packed:
            body = packing.unpacked(body, self._most)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((status, body))
        self._begin()
        if not keep and self._transport is not None:
            self._transport.close()


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        remedy = _REMEDIES.get(error.verify_code, "name who vouches for it with --source-ca")
        return f"its certificate is not trusted: {error.verify_message.rstrip('.')}: {remedy}"
    if isinstance(error, httptools.HttpParserError):
        return f"no HTTP server answers there: {error}"
    if isinstance(error, ssl.SSLError):
        return f"TLS fails ({error.reason}): is it an https server?"
    if isinstance(error, OSError) and error.errno and not isinstance(error, TimeoutError):
        why = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno)
        return f"{why}: does wsup serve run there?"
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
