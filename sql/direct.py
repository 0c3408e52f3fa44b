"""Whether the direct connection of a supervisor is one, before it is trusted."""

from typing import Any

import psycopg

from ..config.errors import DatabaseError
from ..config.redaction import redacted
from .backend import is_pooled
from .connect import connect
from .statements import statement

POOLED = (
    "it leads to a pooler, through which no notification comes: name PostgreSQL itself with "
    "--listen (WSUP_LISTEN, listen = …), or use --listen off, and jobs are found by polling"
)
ELSEWHERE = "it leads to another database than database does: name the same one, without the pooler"


def check_listen(connection: psycopg.Connection[Any], dsn: str, listen: str | None) -> None:
    """See that `listen` leads, directly, to the database of `connection`, which is at `dsn`.

    Raises DatabaseError.
    """
    if listen is None:
        return
    with connect(listen) as direct:
        given = "database" if listen == dsn else "listen"
        named = f"{given} = {redacted(listen) or 'what the PG* variables say'}"
        pid = direct.execute(statement("backend_pid")).fetchone()
        if pid is not None and is_pooled(direct, pid[0]):
            raise DatabaseError(f"{named}: {POOLED}")
        place = statement("place")
        if direct.execute(place).fetchone() != connection.execute(place).fetchone():
            raise DatabaseError(f"{named}: {ELSEWHERE}")
