"""Connections of the commands."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsup.config.errors import DatabaseError
from wsup.config.loading import load

from .output import say

if TYPE_CHECKING:
    from psycopg import Connection

#: Seconds between tries: 0.5, 1, 2, 4, 5, 5, …, enough for a server that starts beside us.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
#: Words of libpq and the server for what trying again doesn't mend.
HOPELESS = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "definition of service",
    "no connection string",
)


@contextmanager
def migrated(database: str | None, config_file: Path | None) -> Iterator["Connection[Any]"]:
    """A connection to the named database, refused with the remedy unless it is migrated."""
    from wsup.config.database import resolve
    from wsup.sql.migrate import check

    settings = load({"database": database}, config_file)
    with connected(resolve(settings.database, config_file)) as conn:
        check(conn)
        yield conn


def connected(dsn: str, tries: int = 1) -> "Connection[Any]":
    """An autocommitting connection; a line is said for each try that fails. Raises DatabaseError.

    Does not try again what would fail again, such as a wrong password.
    """
    from wsup.sql.connect import connect

    pause = FIRST_PAUSE
    for turn in range(1, tries):
        try:
            return connect(dsn)
        except DatabaseError as error:
            if any(word in str(error) for word in HOPELESS):
                raise
            say(f"{error} (try {turn} of {tries}, again in {pause:g} s)")
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    return connect(dsn)
