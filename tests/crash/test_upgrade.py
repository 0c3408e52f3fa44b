"""A newer schema comes while a supervisor of the version before still runs."""

from typing import Any

import psycopg
import pytest
from running import Supervisor, enqueue, finished

from wsup.config.errors import DatabaseError
from wsup.sql import migrate as schema
from wsup.sql.migrate import Migration, migrate, migrations

Connection = psycopg.Connection[Any]


def next_migration(text: bytes, monkeypatch: pytest.MonkeyPatch) -> Migration:
    """Makes the code one version newer than the database."""
    made = Migration(len(migrations()) + 1, "next", "checksum", text)
    known = (*migrations(), made)
    monkeypatch.setattr(schema, "migrations", lambda: known)
    return made


def test_one_that_adds_something_disturbs_nobody(
    supervisor: Supervisor, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert finished(connection, enqueue(connection, "noop")) == ["succeeded"]
    made = next_migration(
        b"ALTER TABLE wsup.job ADD COLUMN note text;"
        b"ALTER TABLE wsup.outcome ADD COLUMN note text;"
        b"ALTER TABLE wsup.claim ADD COLUMN note text",
        monkeypatch,
    )
    assert migrate(connection) == [made]
    assert finished(connection, enqueue(connection, "noop")) == ["succeeded"]
    assert supervisor.stop() == 0


def test_one_that_breaks_what_runs_is_refused_before_anything_changes(
    supervisor: Supervisor, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = next_migration(
        b"-- breaking: results are kept elsewhere\nDROP TABLE wsup.failure", monkeypatch
    )
    for dry_run in (True, False):
        with pytest.raises(
            DatabaseError, match=f"nothing was changed.* pid {supervisor.pid} .*stop"
        ):
            migrate(connection, dry_run=dry_run)
    assert connection.execute("SELECT to_regclass('wsup.failure')").fetchone() != (None,)
    assert finished(connection, enqueue(connection, "noop")) == ["succeeded"]
    assert supervisor.stop() == 0
    assert migrate(connection) == [made]
