"""The control socket: one JSON request a line, one JSON reply a line, for the command line."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

log = logging.getLogger("wsup.control")

#: Bytes of the longest request.
_LONGEST = 64 * 1024

Reply = dict[str, Any]
Verb = Callable[[], Awaitable[Reply] | Reply]


class ControlSocket:
    def __init__(self, path: Path, verbs: Mapping[str, Verb]) -> None:
        self._path = path
        self._verbs = verbs
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._path.unlink(missing_ok=True)
        # By way of the folder's descriptor: a socket's path may have 107 bytes only.
        folder = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY)
        before = os.umask(0o177)  # the socket must be 0600 from its first moment on
        try:
            self._server = await asyncio.start_unix_server(
                self._serve, path=f"/proc/self/fd/{folder}/{self._path.name}", limit=_LONGEST
            )
        finally:
            os.umask(before)
            os.close(folder)

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await self._answer(line)) + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # the other end has gone, or sends no lines
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> Reply:
        try:
            verb = msgspec.json.decode(line)["verb"]
            action = self._verbs[verb]
        except (msgspec.DecodeError, KeyError, TypeError):
            return {"ok": False, "error": f"a request is {{'verb': one of {sorted(self._verbs)}}}"}
        try:
            reply = action()
            return reply if isinstance(reply, dict) else await reply
        except Exception as error:
            log.exception("while answering %r", verb)
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}
