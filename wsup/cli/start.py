"""`wsup start`."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from wsup.config.errors import ConfigError
from wsup.config.loading import load
from wsup.config.settings import Settings

from .options import settings_options
from .output import say

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
    with _database(settings, config_file) as dsn:
        from wsup.supervisor.run import run

        code = run(settings, dsn, reloaded)
    sys.exit(code)


@contextmanager
def _database(settings: Settings, config_file: Path | None) -> Iterator[str]:
    """The database, ready to use; the embedded one is ended if it was started here."""
    from wsup.config.database import EMBEDDED_ROOT, is_embedded, resolve_or_embed

    with _ending_by_term():
        dsn, server = resolve_or_embed(settings.database, EMBEDDED_ROOT, config_file)
        try:
            embedded = is_embedded(dsn)
            if embedded:
                say(f"embedded PostgreSQL: {dsn}")
            _prepare(dsn, settings.connect_tries, migrating=embedded)
            yield dsn
        finally:
            if server is not None:
                server.stop()


def _prepare(dsn: str, tries: int, *, migrating: bool) -> None:
    """Refuses a database that isn't migrated; the embedded one is migrated instead."""
    from wsup.sql.migrate import check, migrate

    from .database import connected

    with connected(dsn, tries) as conn:
        if migrating:
            migrate(conn)
        check(conn)


@contextmanager
def _ending_by_term() -> Iterator[None]:
    """Outside the supervisor's own rule over signals, TERM must still end the embedded server."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
