"""A server as the origin of jobs: on a host without a database."""

import asyncio
import logging
import math
import random
import ssl
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from ..config.addresses import is_loopback
from ..config.errors import ConfigError, DatabaseError
from ..config.settings import Settings
from ..remote.source import HttpSource
from ..remote.token import Token, agent_of
from ..sql.answers import Beat, SourceLost
from .first_look import look_patiently
from .source import Ears, Source, Upkeep

log = logging.getLogger("wsup.remote")
#: Seconds that the first answer may take.
FIRST_SECONDS = 10.0
#: After so long without a sign of a server, its hosts go to another one: the part of the lease, for
#: they must have found that before it is over, and seconds at least and at most.
REACH_SHARE, REACH_LEAST, REACH_MOST = 1 / 3, 2.0, 10.0
#: Who has nothing to do gives a sign of life at least once in this part of the lease: by the lease
#: alone it is known to live, and it isn't told when others begin to look.
SILENT_SHARE = 1 / 3


class Server:
    """What the settings `source`, `token_file` and `source_ca` name. Raises ConfigError."""

    def __init__(self, settings: Settings) -> None:
        self.name = settings.source
        self._urls = [_whole(url) for url in settings.source.split(",")]
        self._token = Token(Path(settings.token_file) if settings.token_file else None)
        self._tls = _trusting(settings.source_ca)

    def first_look(self, tries: int) -> None:
        """See that it is there, and lets us in; a line a try. Raises DatabaseError."""
        for url in self._urls:
            parts = urlsplit(url)
            if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
                log.warning("source = %s: all goes there in the clear; https would hide it", url)
        try:
            look_patiently(lambda: asyncio.run(self._look()), tries, SourceLost)
        except SourceLost as error:
            raise DatabaseError(str(error)) from None

    async def _look(self) -> None:
        source = self._source(_Nobody(), FIRST_SECONDS)
        try:
            await source.connect()
        finally:
            await source.close()

    def agent(self) -> str:
        """By what name the server knows this host. Raises DatabaseError."""
        return agent_of(self._token.read())

    def open(self, settings: Callable[[], Settings], ears: Ears) -> tuple[Source, Upkeep]:
        """Both ends of the seam, not connected yet."""
        first = settings()
        seconds = min(first.statement_timeout, first.lease / 2)
        return self._source(ears, seconds, first.lease), NoUpkeep()

    def _source(self, ears: Ears, seconds: float, lease: float = math.inf) -> HttpSource:
        return HttpSource(
            random.sample(self._urls, len(self._urls)),  # so that not all hosts take the same
            token=self._token,
            tls=self._tls,
            on_rows=ears.bring,
            on_heard=ears.hear,
            on_lost=ears.lose,
            wanted=ears.wanted,
            seconds=seconds,
            reach=min(max(REACH_LEAST, REACH_SHARE * lease), REACH_MOST),
            longest_silence=SILENT_SHARE * lease,
        )


class NoUpkeep:
    """The server does it."""

    next_verdict = math.inf

    def reconnected(self) -> None: ...

    async def look_after(self, beat: Beat) -> int:
        return 0

    async def stop(self) -> None: ...


class _Nobody:
    def hear(self, payload: str) -> None: ...
    def bring(self, rows: object) -> None: ...
    def lose(self, reason: str) -> None: ...
    def wanted(self) -> int:
        return 0


def _whole(url: str) -> str:
    """The URL, if it can be asked. Raises ConfigError."""
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        parts.port  # noqa: B018 - it is looked at here
    except ValueError as error:
        why = "no host has such a name" if isinstance(error, UnicodeError) else error
        raise ConfigError(f"source = {url}: {why}: use https://HOST:PORT") from None
    return url


def _trusting(authority: str) -> ssl.SSLContext | None:
    if not authority:
        return None
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError as error:  # also of ssl
        why = "there is no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(f"source_ca = {authority}: {why}: name a file in PEM form") from None
