"""Connections of the commands."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsup.config.errors import DatabaseError, WsupError
from wsup.config.loading import load
from wsup.config.redaction import redacted

from .output import say

if TYPE_CHECKING:
    from psycopg import Connection

#: A firewall that swallows packets must not hold a command for minutes.
CONNECT_SECONDS = 10
#: Between tries: 0.5, 1, 2, 4, 5, 5, … s, long enough for a server to start beside us.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
#: Words in libpq's message that tell of an error that trying again doesn't mend.
HOPELESS = ("authentication failed", "does not exist", "no pg_hba.conf entry", "definition of ser")


@contextmanager
def migrated(database: str | None, config_file: Path | None) -> "Iterator[Connection[Any]]":
    """A connection to the named database, refused with the remedy unless it is migrated."""
    from wsup.config.database import resolve
    from wsup.sql.migrate import check

    settings = load({"database": database}, config_file)
    with connected(resolve(settings.database, config_file)) as conn:
        check(conn)
        yield conn


def connected(dsn: str, tries: int = 1) -> "Connection[Any]":
    """An autocommitting connection. A line is said for each try that fails, but the last.

    Raises DatabaseError where trying again is of no use, else WsupError.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    params: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "application_name": "wsup"}
    params |= conninfo_to_dict(dsn)
    pause = FIRST_PAUSE
    for turn in range(1, tries + 1):
        try:
            return psycopg.connect(**params, autocommit=True)
        except psycopg.OperationalError as error:
            why = f"the database {redacted(dsn)} can't be reached: {_first_line(error)}"
            if any(word in str(error) for word in HOPELESS):
                raise DatabaseError(why) from error
            if turn == tries:
                raise WsupError(why) from error
            say(f"{why} (try {turn} of {tries}, again in {pause:g} s)")
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    raise AssertionError("tries is at least 1")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
