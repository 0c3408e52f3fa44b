"""Which database is meant: the one that is named, libpq's own, or the embedded one."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ConfigError, DatabaseError
from .loading import load
from .redaction import redacted

if TYPE_CHECKING:
    from .embedded import EmbeddedServer

#: Any of these says that libpq is to find the database by itself.
LIBPQ_VARIABLES = (
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGDATABASE",
    "PGSERVICE",
    "PGUSER",
    "PGSERVICEFILE",
)
EMBEDDED_ROOT = Path(".wsup")
FORMS = 'use postgresql://USER@HOST/DATABASE, "host=… dbname=…" or "service=…"'
NONE_NAMED = (
    "no database is named: use --database, WSUP_DATABASE, database = … in wsup.toml, "
    "or libpq's PGHOST and the like (or pip install 'wsup[embedded]': wsup start then runs its own)"
)
EMBEDDED_DOWN = (
    f"no database is named, and the embedded one in {EMBEDDED_ROOT} is down: "
    "it runs while wsup start does; or name one with --database or WSUP_DATABASE"
)
#: What libpq says that can't contain a piece of a password.
_HARMLESS = re.compile(r'invalid (?:connection option|URI query parameter:) "[a-z_]+"')


def resolve(database: str | None, file: Path | None = None) -> str:
    """The connection string to use; "" leaves it to libpq.

    `database` is taken if it is not None; else what WSUP_DATABASE or wsup.toml (or `file`) name,
    what libpq's variables say, or the embedded server of this folder while it runs. Raises
    ConfigError if that is malformed or there is nothing, DatabaseError if the embedded server
    can't be asked.
    """
    named = _named(database, file)
    if named is not None:
        return named
    running = _embedded_dsn(EMBEDDED_ROOT)
    if running is not None:
        return running
    raise ConfigError(EMBEDDED_DOWN if _was_embedded(EMBEDDED_ROOT) else NONE_NAMED)


def resolve_or_embed(
    database: str | None, root: Path = EMBEDDED_ROOT, file: Path | None = None
) -> "tuple[str, EmbeddedServer | None]":
    """As `resolve`, but where no database is named the embedded server of `root` is started.

    It is returned only if this call started it: then it is for the caller to stop. Raises
    ConfigError if it isn't installed, DatabaseError if it doesn't start.
    """
    named = _named(database, file)
    if named is not None:
        return named, None
    from .embedded import EmbeddedError, EmbeddedServer

    server = EmbeddedServer(root)
    try:
        if not server.running() and not server.available():
            raise ConfigError(NONE_NAMED)
        started = server.start()
    except EmbeddedError as error:
        raise DatabaseError(str(error)) from error
    return server.dsn, server if started else None


def described(database: str | None, file: Path | None = None) -> str:
    """What `resolve_or_embed` would use, for people, without a password. Raises as that does."""
    named = _named(database, file)
    if named is not None:
        return redacted(named) or "as libpq's variables say"
    running = _embedded_dsn(EMBEDDED_ROOT)
    if running is not None:
        return f"the embedded one, {running}"
    from .embedded import EmbeddedServer

    if not EmbeddedServer.available():
        raise ConfigError(NONE_NAMED)
    return f"the embedded one in {EMBEDDED_ROOT}, not started yet"


def is_embedded(dsn: str, root: Path = EMBEDDED_ROOT) -> bool:
    """Is this the address of the embedded server of `root`, whoever started it?"""
    return bool(dsn) and dsn == _embedded_dsn(root)


def _named(database: str | None, file: Path | None) -> str | None:
    if database is None:
        database = load({}, file).database
    if database is not None:
        return checked(database)
    return "" if any(os.environ.get(name) for name in LIBPQ_VARIABLES) else None


def _embedded_dsn(root: Path) -> str | None:
    if not root.is_dir():
        return None
    from .embedded import EmbeddedError, EmbeddedServer

    server = EmbeddedServer(root)
    try:
        return server.dsn if server.running() else None
    except EmbeddedError as error:
        raise DatabaseError(str(error)) from error


def _was_embedded(root: Path) -> bool:
    """Has an embedded server ever run for `root`?"""
    if not root.is_dir():
        return False
    from .embedded import EmbeddedServer

    return EmbeddedServer(root).data_dir.exists()


def direct_dsn(listen: str, dsn: str) -> str | None:
    """The connection string of the direct connection; None: there is to be none.

    `listen` is the setting, `dsn` the database's. Raises ConfigError.
    """
    if listen == "off":
        return None
    return checked(listen, "listen") if listen else dsn


def checked(dsn: str, key: str = "database") -> str:
    """`dsn` if it can be read as a connection string. Raises ConfigError, without a password."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    if re.match(r"postgres(ql)?\+\w+://", dsn):
        raise _malformed(key, dsn, "that names a driver too: write postgresql://…")
    try:
        parts = conninfo_to_dict(dsn)
    except ProgrammingError as error:
        harmless = _HARMLESS.search(str(error))
        raise _malformed(key, dsn, f"{harmless[0]}: {FORMS}" if harmless else FORMS) from None
    # libpq cuts a URI at the wrong place when the password is not encoded.
    host, port = str(parts.get("host") or ""), str(parts.get("port") or "")
    if "@" in host.removeprefix("@") or not re.fullmatch(r"[\d, ]*", port):
        raise _malformed(
            key, dsn, "write @ : / in a password as %40 %3A %2F, and the port as a number"
        )
    return dsn


def _malformed(key: str, dsn: str, remedy: str) -> ConfigError:
    return ConfigError(f"{key} = {redacted(dsn)}: not a connection string: {remedy}")
