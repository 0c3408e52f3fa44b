"""`wsup start`."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wsup.config.database import checked, direct_dsn
from wsup.config.errors import ConfigError
from wsup.config.loading import load
from wsup.config.settings import Settings

from .extras import needs
from .options import settings_options
from .output import say

if TYPE_CHECKING:
    from wsup.supervisor.source import Origin

NO_APP = (
    "no app is named: wsup start --app pkg.module:app, where app = wsup.App() in pkg/module.py; "
    "or WSUP_APP, or app = … in wsup.toml"
)


@click.command()
@settings_options()
def start(config_file: Path | None, **flags: str | None) -> None:
    """Run a supervisor and its subworkers.

    Each option can also be set as WSUP_<NAME> or in wsup.toml; flags win over the environment, and
    that over the file. Without a database named, an embedded PostgreSQL is run along.

    \b
    TERM  finish what runs, then stop     HUP   reload settings and code
    INT   stop now, give back what runs   USR1  write the status to the log
    """

    def reloaded() -> Settings:
        return load(flags, config_file)

    settings = reloaded()
    if not settings.app:
        raise ConfigError(NO_APP)
    direct_dsn(settings.listen, "")
    _make_run_dir(settings)
    if settings.source:
        sys.exit(_from_server(settings, reloaded))
    with _database(settings, config_file) as dsn, _told_to_children(dsn):
        from wsup.supervisor.database import Database
        from wsup.supervisor.run import run

        code = run(settings, Database(dsn, direct_dsn(settings.listen, dsn)), reloaded)
    sys.exit(code)


def _from_server(settings: Settings, reloaded: Callable[[], Settings]) -> int:
    """With a database named, too, that is asked while the server is away."""
    with needs("httptools", "http"):
        from wsup.supervisor.database import Database
        from wsup.supervisor.either import Either
        from wsup.supervisor.run import run
        from wsup.supervisor.served import Server
    origin: Origin = Server(settings)
    dsn = checked(settings.database) if settings.database is not None else ""
    if settings.database is not None:
        origin = Either(Server(settings), Database(dsn, direct_dsn(settings.listen, dsn)))
    with _told_to_children(dsn):
        return run(settings, origin, reloaded)


@contextmanager
def _told_to_children(dsn: str) -> Iterator[None]:
    """What tasks enqueue goes where their jobs come from, whoever named that, and wherever to they
    change their directory. ("" is no name: libpq's variables are theirs, too.)
    """
    if not dsn:
        yield
        return
    before = os.environ.get("WSUP_DATABASE")
    os.environ["WSUP_DATABASE"] = dsn
    try:
        yield
    finally:
        del os.environ["WSUP_DATABASE"]
        if before is not None:
            os.environ["WSUP_DATABASE"] = before


def _make_run_dir(settings: Settings) -> None:
    folder = Path(settings.run_dir)
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"run_dir = {folder}: {error.strerror}: name another folder") from error
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"run_dir = {folder}: you may not write there: name another folder")


@contextmanager
def _database(settings: Settings, config_file: Path | None) -> Iterator[str]:
    """The database's address. The embedded one is migrated, and ended if it was started here."""
    from wsup.config.database import EMBEDDED_ROOT, is_embedded, resolve_or_embed
    from wsup.sql.connect import connect
    from wsup.sql.migrate import migrate

    with _ending_by_term():
        dsn, server = resolve_or_embed(settings.database, EMBEDDED_ROOT, config_file)
        try:
            if is_embedded(dsn):
                say(f"embedded PostgreSQL: {dsn}")
                with connect(dsn) as conn:
                    migrate(conn)
            yield dsn
        finally:
            if server is not None:
                server.stop()


@contextmanager
def _ending_by_term() -> Iterator[None]:
    """Outside the supervisor's own rule over signals, TERM must still end the embedded server."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
