"""`wsup serve`: from the first try to connect to the last answer."""

import asyncio
import logging
import resource
import signal
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from ..config.errors import ConfigError, DatabaseError
from ..config.settings import Settings
from ..config.tokens import Keys
from ..sql.answers import SourceLost
from ..supervisor import log as logs
from ..supervisor.database import Database
from .core import Core
from .guard import Guard
from .hurry import Hurried
from .listening import Loop, bound, check_certificate
from .operations import application
from .web import Web

log = logging.getLogger("wsup.server")

#: Seconds between two looks for revoked tokens, where nothing is called out.
REVOKED_SECONDS = 1.5
#: Seconds for which an idle connection is kept: longer than any agent's waiting turn.
KEEP_SECONDS = 75


@dataclass(frozen=True)
class Bind:
    """Where the server listens, and with what it shows itself."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    #: None: whoever comes is let in; on loopback only.
    keys: Path | None = None
    #: Bytes that a request may have.
    most_bytes: int = 64 << 20


def serve(settings: Settings, dsn: str, listen: str | None, bind: Bind) -> int:
    """Run a server until it is told to stop; returns the exit code.

    Raises ConfigError, DatabaseError for what the user must mend first.
    """
    logs.configure(settings.log_level, settings.log_format)
    _allow_many_connections()
    keys = Keys.load(bind.keys) if bind.keys else None
    if bind.certificate and bind.key:
        check_certificate(bind.certificate, bind.key)
    sockets = bound(bind.host, bind.port)
    Database(dsn, listen).first_look(settings.connect_tries)
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(_Serve(settings, dsn, listen, bind, keys).run(sockets))


def _allow_many_connections() -> None:
    """Each takes a descriptor, as does each that somebody opens to no purpose, for some seconds."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _Serve:
    def __init__(
        self, settings: Settings, dsn: str, listen: str | None, bind: Bind, keys: Keys | None
    ) -> None:
        self._core = Core(settings, dsn, listen, bind.most_bytes)
        self._guard = Guard(keys, self._core.source.serving, bind.keys)
        self._core.on_tokens = self._core.on_connected = self._refresh
        self._core.desk.renew = self._guard.renew
        self._tasks: set[asyncio.Task[None]] = set()
        web = Web(self._core.desk, self._guard.identify, most_bytes=bind.most_bytes)
        web.others = application(self._core, web.counts, lambda: self._uvicorn.should_exit)
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                web,
                http=Hurried,
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=KEEP_SECONDS,
                timeout_graceful_shutdown=10,
                ssl_certfile=bind.certificate,
                ssl_keyfile=bind.key,
            ),
            on_stop=self._core.ears.end_all,
        )

    async def run(self, sockets: list[socket.socket]) -> int:
        try:
            await self._core.start()
        except SourceLost as error:
            raise DatabaseError(str(error)) from error
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self._uvicorn.end)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        watching = loop.create_task(self._watch_tokens())
        try:
            await self._uvicorn.listen(sockets)
        finally:
            watching.cancel()
            await self._core.stop()
        log.info("stopped")
        return 0

    def _reload(self) -> None:
        self._uvicorn.reload()
        if self._guard.reread():
            log.info("the keys are read again")
            self._core.ears.end_all()

    def _refresh(self) -> None:
        self._spawn(self._look_for_revoked)

    async def _look_for_revoked(self) -> None:
        if await self._guard.refresh():
            self._core.ears.end_all()  # who waits must show its token anew

    async def _watch_tokens(self) -> None:
        """While it can't be called out that one was revoked, look for it."""
        source = self._core.source
        while self._guard.keys is not None:
            await asyncio.sleep(REVOKED_SECONDS)
            if source.connected and not source.hears:
                self._refresh()

    def _spawn(self, work: Callable[[], Any]) -> None:
        async def do() -> None:
            try:
                await work()
            except SourceLost as error:
                log.debug("while looking for revoked tokens: %s", error)

        task = asyncio.get_running_loop().create_task(do())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Uvicorn(uvicorn.Server):
    """Says when it listens, and has those answered who wait, before it stops."""

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    async def listen(self, sockets: list[socket.socket]) -> None:
        """Serve until told to stop; signals are not uvicorn's business. Raises ConfigError."""
        try:
            await self._serve(sockets)
        except (OSError, ssl.SSLError) as error:  # another one may listen there since
            raise ConfigError(f"--bind: can't listen there: {error}") from None

    def end(self) -> None:
        self.should_exit = True

    def reload(self) -> None:
        """Show the certificate that is in the files now to whoever connects from now on."""
        config = self.config
        if config.ssl is None or config.ssl_certfile is None or config.ssl_keyfile is None:
            return
        certificate, key = Path(config.ssl_certfile), Path(config.ssl_keyfile)
        try:
            check_certificate(certificate, key)
            config.ssl.load_cert_chain(certificate, key)
            log.info("the certificate is read again")
        except (ConfigError, OSError, ssl.SSLError) as error:
            log.error("the certificate can't be read, the old one stays: %s", error)

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        for server in self.servers if self.started else ():
            for sock in server.sockets:
                host, port = sock.getsockname()[:2]
                log.info("ready: serving on %s port %d", host, port)

    async def shutdown(self, sockets: Any = None) -> None:
        log.info("stopping")
        self._on_stop()
        await super().shutdown(sockets)
