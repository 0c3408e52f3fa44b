"""Migrations: in order, once, together, and never into a database that they don't fit."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql

from wsup.cli import main
from wsup.config.errors import DatabaseError
from wsup.sql import migrate as schema
from wsup.sql.migrate import check, migrate, migrations, pending

ALL = [str(migration) for migration in migrations()]


def applied(dsn: str) -> list[int]:
    with psycopg.connect(dsn) as conn:
        rows = conn.execute("SELECT version FROM wsup.migration ORDER BY version").fetchall()
    return [row[0] for row in rows]


def wsup(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, args, prog_name="wsup")
    return result.exit_code, result.output


def test_the_versions_have_no_gap() -> None:
    assert [migration.version for migration in migrations()] == list(range(1, len(ALL) + 1))


def test_an_empty_database_is_migrated_once(empty_database: str) -> None:
    with psycopg.connect(empty_database) as conn:
        with pytest.raises(DatabaseError, match="the database is not migrated: run wsup migrate"):
            check(conn)
        assert [str(migration) for migration in migrate(conn)] == ALL
        assert migrate(conn) == []
        assert pending(conn) == []
        check(conn)
    assert applied(empty_database) == list(range(1, len(ALL) + 1))


def test_a_dry_run_changes_nothing(empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as conn:
        assert [str(migration) for migration in migrate(conn, dry_run=True)] == ALL
        assert conn.execute("SELECT to_regnamespace('wsup')").fetchone() == (None,)


def test_on_the_command_line(empty_database: str) -> None:
    named = ("--database", empty_database)
    refused = wsup("jobs", "list", *named)
    assert refused == (2, "wsup: the database is not migrated: run wsup migrate\n")
    dry = wsup("migrate", *named, "--dry-run")
    assert dry == (0, "".join(f"would apply {name}\n" for name in ALL))
    assert wsup("migrate", *named) == (0, "".join(f"applied {name}\n" for name in ALL))
    assert wsup("migrate", *named) == (0, f"nothing to do: at version {len(ALL)}\n")


def test_two_hosts_at_once(empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as conn:
        # Both are held up here, so that they certainly want the same things at the same time.
        conn.execute("SELECT pg_advisory_lock(2004055408, 0)")
        command = [sys.executable, "-m", "wsup", "migrate", "--database", empty_database]
        hosts = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while conn.execute(waiting).fetchone() != (2,):
            assert [host.poll() for host in hosts] == [None, None]
        conn.execute("SELECT pg_advisory_unlock(2004055408, 0)")
        told = [host.communicate(timeout=60) for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0]
    assert [errors for _, errors in told] == ["", ""]
    lines = [line for output, _ in told for line in output.splitlines() if "applied" in line]
    assert sorted(lines) == [f"applied {name}" for name in ALL]
    assert applied(empty_database) == list(range(1, len(ALL) + 1))


def test_whatever_the_session_is_used_to(empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as conn:
        conn.execute("SET default_transaction_isolation = 'serializable'")
        conn.execute("SET default_transaction_read_only = on")
        conn.execute("SET client_encoding = 'LATIN1'")
        conn.execute("SET statement_timeout = '60s'")
        conn.prepare_threshold = 0
        assert len(migrate(conn)) == len(ALL)
        assert conn.info.encoding == "iso8859-1"
        check(conn)


def test_only_on_a_connection_of_its_own(empty_database: str) -> None:
    with psycopg.connect(empty_database) as conn:
        conn.execute("SELECT 1")
        with pytest.raises(DatabaseError, match="in a transaction"):
            migrate(conn)


def test_a_role_that_may_not_create_schemas_uses_one_made_for_it(empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as conn:
        role = sql.Identifier("wsup_test_" + conn.info.dbname)
        conn.execute(sql.SQL("CREATE ROLE {}").format(role))
        try:
            conn.execute(sql.SQL("CREATE SCHEMA wsup AUTHORIZATION {}").format(role))
            conn.execute(sql.SQL("SET ROLE {}").format(role))
            assert len(migrate(conn)) == len(ALL)
            conn.execute("RESET ROLE")
        finally:
            conn.execute("RESET ROLE")
            conn.execute(sql.SQL("DROP OWNED BY {}").format(role))
            conn.execute(sql.SQL("DROP ROLE {}").format(role))


def test_a_migration_that_fails_leaves_those_before_it(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = schema.Migration(2, "broken", "x", b"CREATE TABLE wsup.half (); SELECT 1/0")
    monkeypatch.setattr(schema, "migrations", lambda: (migrations()[0], broken))
    with psycopg.connect(empty_database) as conn, pytest.raises(psycopg.errors.DivisionByZero):
        migrate(conn)
    assert applied(empty_database) == [1]
    with psycopg.connect(empty_database) as conn:
        assert conn.execute("SELECT to_regclass('wsup.half')").fetchone() == (None,)


def test_an_older_database(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("DELETE FROM wsup.migration WHERE version > 1")
        with pytest.raises(DatabaseError, match=r"at version 1, older than .*: run wsup migrate"):
            check(conn)
        assert [str(migration) for migration in pending(conn)] == ALL[1:]


def test_a_newer_database(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("INSERT INTO wsup.migration (version, name, checksum) VALUES (999, 'x', '')")
        for use in (check, migrate, pending):
            with pytest.raises(DatabaseError, match=r"at version 999, newer than .*upgrade"):
                use(conn)


def test_a_migration_that_was_changed_later(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("UPDATE wsup.migration SET checksum = 'other' WHERE version = 2")
        for use in (check, migrate, pending):
            with pytest.raises(DatabaseError, match=f"migration {ALL[1]} of this wsup is not"):
                use(conn)


def test_a_database_that_is_not_utf8(empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as conn:
        name = f"{conn.info.dbname}_latin1"
        create = "CREATE DATABASE {} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
        conn.execute(sql.SQL(cast("Any", create)).format(sql.Identifier(name)))
        try:
            with (
                psycopg.connect(empty_database, dbname=name) as other,
                pytest.raises(DatabaseError, match="encoded in LATIN1, wsup needs UTF8"),
            ):
                migrate(other)
        finally:
            conn.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def test_a_server_that_is_too_old() -> None:
    info = SimpleNamespace(server_version=140_005, parameter_status=lambda _: "UTF8")
    conn = cast("psycopg.Connection[Any]", SimpleNamespace(info=info))
    with pytest.raises(DatabaseError, match=r"PostgreSQL 14\.5 is too old: wsup needs 15"):
        check(conn)
