"""Brings a database to this wsup's version of the schema, or says why it can't be used.

`migrations/NNNN_name.sql` are applied in order, each in a transaction of its own, under a lock
that ends with it: two hosts may migrate at once, and a transaction pooler may stand between.
"""

import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from psycopg import Connection, Cursor
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from ..config.errors import DatabaseError
from .statements import statement

MIGRATIONS = files(__package__) / "migrations"
#: How a migration begins that supervisors of before can't work with; the reason follows.
BREAKING = b"-- breaking:"
#: The oldest that is tested.
OLDEST_SERVER = 15


class Migration(NamedTuple):
    """One file of `migrations/`, or one row of wsup.migration, which doesn't keep the text."""

    version: int
    name: str
    checksum: str
    text: bytes = b""

    def __str__(self) -> str:
        return f"{self.version:04}_{self.name}"

    @property
    def is_breaking(self) -> bool:
        return self.text.startswith(BREAKING)


@cache
def migrations() -> tuple[Migration, ...]:
    """All that this wsup knows, by version: 1, 2, 3, … without a gap."""
    found = []
    for file in MIGRATIONS.iterdir():
        if named := re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name):
            text = file.read_bytes()
            found.append(Migration(int(named[1]), named[2], hashlib.sha256(text).hexdigest(), text))
    return tuple(sorted(found))


def pending(conn: Connection[Any]) -> list[Migration]:
    """What `migrate` would apply. Raises DatabaseError if the database can't be migrated."""
    _refuse_unfit_server(conn)
    with conn.transaction():
        return _pending(conn)


def migrate(conn: Connection[Any], dry_run: bool = False) -> list[Migration]:
    """Apply what is pending; returns what this call applied, or with `dry_run` would have.

    `conn` must not be in a transaction. Raises DatabaseError for a server or a database that can't
    be migrated, psycopg.Error for what PostgreSQL refuses; what came before that stays applied.
    """
    if conn.info.transaction_status != TransactionStatus.IDLE:
        raise DatabaseError("migrate needs a connection of its own: this one is in a transaction")
    waiting = pending(conn)
    with conn.transaction():
        _refuse_running(conn, waiting)
    if dry_run:
        return waiting
    return [migration for migration in waiting if _apply(conn, migration)]


def check(conn: Connection[Any]) -> None:
    """Raises DatabaseError, with the remedy, unless the schema is the one of this wsup."""
    missing, newest = pending(conn), len(migrations())
    if len(missing) == newest:
        raise DatabaseError("the database is not migrated: run wsup migrate")
    if missing:
        version = newest - len(missing)
        raise DatabaseError(
            f"the database is at version {version}, older than this wsup ({newest}): "
            "run wsup migrate"
        )


def _apply(conn: Connection[Any], migration: Migration) -> bool:
    """False if another host was faster."""
    row = {name: getattr(migration, name) for name in ("version", "name", "checksum")}
    with conn.transaction():
        _run(conn, statement("migration_lock"))
        _run(conn, statement("migration_setup"))
        if migration not in _pending(conn):
            return False
        _refuse_running(conn, [migration])
        _run(conn, migration.text)
        _run(conn, statement("migration_insert"), row)
    return True


def _pending(conn: Connection[Any]) -> list[Migration]:
    known, applied = migrations(), _applied(conn)
    if applied and applied[-1].version > len(known):
        raise DatabaseError(
            f"the database is at version {applied[-1].version}, newer than this wsup "
            f"({len(known)}): upgrade wsup"
        )
    for old, new in zip(applied, known, strict=False):
        if old[:3] != new[:3]:
            raise DatabaseError(
                f"migration {new} of this wsup is not the {old} that was applied to this database: "
                "install the wsup that migrated it, or use another database"
            )
    return list(known[len(applied) :])


def _refuse_running(conn: Connection[Any], waiting: list[Migration]) -> None:
    """Supervisors of before go on through a migration, unless it says that they can't."""
    breaking = next((migration for migration in waiting if migration.is_breaking), None)
    # In an empty database nobody runs; what is there since version 1 is needed to ask.
    if breaking is None or waiting[0].version == 1:
        return
    running = _run(conn, statement("migration_running")).fetchall()
    if running:
        names = ", ".join(f"{host} pid {pid} (wsup {version})" for host, pid, version in running)
        raise DatabaseError(
            f"nothing was changed: {breaking} would break what runs: {names}; stop these "
            "supervisors, then migrate"
        )


def _applied(conn: Connection[Any]) -> list[Migration]:
    if not _run(conn, statement("migration_exists")).fetchall()[0][0]:
        return []
    return [Migration(*row) for row in _run(conn, statement("migration_applied"))]


def _run(
    conn: Connection[Any], query: bytes, params: dict[str, object] | None = None
) -> Cursor[tuple[Any, ...]]:
    # Several statements in one string can't be prepared, which psycopg does at the fifth time.
    return conn.cursor(row_factory=tuple_row).execute(query, params, prepare=False)


def _refuse_unfit_server(conn: Connection[Any]) -> None:
    version, encoding = conn.info.server_version, conn.info.parameter_status("server_encoding")
    if version < OLDEST_SERVER * 10_000:
        raise DatabaseError(
            f"PostgreSQL {version // 10_000}.{version % 10_000} is too old: wsup needs "
            f"{OLDEST_SERVER} or newer"
        )
    # JSON may hold any character, and the bytes of a SQL_ASCII database may be anything.
    if encoding not in (None, "UTF8"):
        raise DatabaseError(
            f"the database {conn.info.dbname} is encoded in {encoding}, wsup needs UTF8: "
            "createdb --encoding=UTF8 --template=template0 …"
        )
