"""Connections, as wsup wants them, and their errors in one line that tells what to do."""

import os
from typing import Any, Final

import psycopg
from psycopg import conninfo
from psycopg.rows import TupleRow

from ..config.errors import DatabaseError, Unreachable
from ..config.redaction import redacted as redact

__all__ = ["ConnectionLost", "aconnect", "connect", "explain", "redact"]

#: What a connection string may override. A peer that has vanished is noticed within a minute while
#: a connection is idle (seconds), and within 30 s while it waits for an answer (milliseconds).
DEFAULTS: Final = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
#: libpq's variables for the same; the others have none.
VARIABLES: Final = {"connect_timeout": "PGCONNECT_TIMEOUT"}
#: How long a message of the server's may get in one of ours, in characters.
LONGEST: Final = 500

NO_SCHEMA = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedObject,
)


class ConnectionLost(DatabaseError):
    """The connection broke before the database answered: what was asked may be done, or not."""


def connect(
    dsn: str, *, autocommit: bool = True, application_name: str = "wsup"
) -> psycopg.Connection[TupleRow]:
    """Connect to `dsn` ("": what the PG* variables say). Raises DatabaseError."""
    given = _parameters(dsn, application_name)
    try:
        return psycopg.connect(**given, autocommit=autocommit)
    except psycopg.OperationalError as error:
        raise _unreachable(dsn, error) from None


async def aconnect(
    dsn: str, *, autocommit: bool = True, application_name: str = "wsup"
) -> psycopg.AsyncConnection[TupleRow]:
    """Connect as `connect` does, without blocking the event loop."""
    given = _parameters(dsn, application_name)
    try:
        return await psycopg.AsyncConnection.connect(**given, autocommit=autocommit)
    except psycopg.OperationalError as error:
        raise _unreachable(dsn, error) from None


def explain(error: psycopg.Error, *, lost: bool = False) -> DatabaseError:
    """An error of the database's as one of ours. `lost`: the connection broke meanwhile."""
    text = error.diag.message_primary or _one_line(error)
    if lost:
        return ConnectionLost(f"{ConnectionLost.__doc__} ({text})")
    if isinstance(error, NO_SCHEMA):
        return DatabaseError(
            f"this database has no wsup schema, or an older one: {text}; run `wsup migrate`"
        )
    return DatabaseError(f"the database refused: {text}")


def _parameters(dsn: str, application_name: str) -> dict[str, Any]:
    try:
        given = conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        # Its message may quote the password.
        raise DatabaseError(
            f"{redact(dsn)!r} is no connection string: give postgresql://user@host/name, or "
            "host=… dbname=…"
        ) from None
    unset = {k: v for k, v in DEFAULTS.items() if VARIABLES.get(k, "") not in os.environ}
    # The fallback, so that a name in the connection string or in PGAPPNAME wins.
    unset["fallback_application_name"] = application_name
    return unset | given | {"client_encoding": "UTF8"}


def _unreachable(dsn: str, error: psycopg.Error) -> Unreachable:
    where = redact(dsn) or "what the PG* variables say"
    return Unreachable(f"can't connect to {where}: {_one_line(error)}")


def _one_line(error: psycopg.Error) -> str:
    return redact(" ".join(str(error).split()))[:LONGEST]
