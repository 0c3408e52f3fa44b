"""Login roles, each a member of one of the roles of `wsup roles`."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

ROLES_SQL = (files("wsup.sql") / "roles.sql").read_text()
KINDS = ("enqueue", "run", "status", "read", "cancel", "finish")


@contextmanager
def roles_on(server: str) -> Iterator[None]:
    """Lets `grant` be used; at the end the roles are dropped that were not there before."""
    with psycopg.connect(server, autocommit=True) as connection:
        rows = connection.execute("SELECT rolname FROM pg_roles").fetchall()
        before = {row[0] for row in rows}
        yield
        for kind in KINDS:
            for name in (f"wsup_test_{kind}", f"wsup_{kind}"):
                if name not in before:
                    drop = sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name))
                    connection.execute(drop)


def grant(database: str) -> dict[str, str]:
    """Run roles.sql, and make a login for each role; returns their DSNs by kind."""
    dsns = {}
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(ROLES_SQL)
        for kind in KINDS:
            login = f"wsup_test_{kind}"
            names = sql.Identifier(login), sql.Identifier(f"wsup_{kind}")
            if connection.execute("SELECT to_regrole(%s)", [login]).fetchone() == (None,):
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN IN ROLE {}").format(*names))
            dsns[kind] = make_conninfo(database, user=login)
    return dsns
