"""Connections on which a request doesn't go on are closed: each would be kept for ever."""

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ..remote import vigil

#: Seconds without a sign of a host after which its connections end, and others get the jobs that it
#: waits for.
REACH_SECONDS = 10.0


class Hurried(HttpToolsProtocol):
    #: Seconds for the head of a request; `Web` limits its body.
    HEAD_SECONDS: ClassVar[float] = 10.0

    #: Bytes that a head may have, or that are read of a request that was refused. They may be put
    #: together anew with each part that comes.
    HEAD_BYTES: ClassVar[int] = 64 << 10

    _hurry: asyncio.TimerHandle | None = None
    #: Bytes of a head that isn't whole yet, but for those that came with its first; None: of none.
    _head: int | None = None
    #: Bytes that have come of a request since it was refused.
    _refused = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        vigil.keep(transport, REACH_SECONDS)
        self._expect()

    def data_received(self, data: bytes) -> None:
        cycle = self.cycle
        if self._hurry is None and (cycle is None or cycle.response_complete):
            self._expect()
        if cycle is not None and cycle.response_complete and cycle.more_body:
            self._refused += len(data)
            if self._refused > self.HEAD_BYTES:
                self.transport.pause_reading()  # until it is closed
                return
        before = self._head
        super().data_received(data)
        if self._head is not None and before is not None:
            self._head += len(data)
            if self._head > self.HEAD_BYTES:
                self.transport.close()

    def on_message_begin(self) -> None:
        self._head = self._refused = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head = None
        self._calm()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        super().connection_lost(exc)

    def _expect(self) -> None:
        """The head of a request is to come."""
        self._calm()
        self._hurry = self.loop.call_later(self.HEAD_SECONDS, self.transport.close)

    def _calm(self) -> None:
        if self._hurry is not None:
            self._hurry.cancel()
            self._hurry = None
