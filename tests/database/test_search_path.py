"""Somebody has put look-alikes where our SQL might look for functions, operators and types."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from road import failed, pull, settle, succeeded, with_source

from wsup import App
from wsup.sql.answers import Pull
from wsup.sql.lanes import Lane
from wsup.sql.migrate import migrate
from wsup.sql.source import PostgresSource
from wsup.sql.statements import QUERIES

Connection = psycopg.Connection[Any]

#: In front, with what is PostgreSQL's own first as always, or even after the look-alikes.
BEFORE_PUBLIC, BEFORE_ALL = "evil,public", "evil,pg_catalog,public"
TRAP = Path(__file__).with_name("trap.sql").read_text()
CONCRETE = """
CREATE FUNCTION pg_temp.concrete(type text, stand_in text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE type
        WHEN 'anyarray' THEN stand_in || '[]' WHEN 'anycompatiblearray' THEN stand_in || '[]'
        WHEN 'anyelement' THEN stand_in WHEN 'anynonarray' THEN stand_in
        WHEN 'anycompatible' THEN stand_in WHEN 'anycompatiblenonarray' THEN stand_in
        WHEN '"any"' THEN stand_in
        WHEN 'anyrange' THEN 'int8range' WHEN 'anymultirange' THEN 'int8multirange'
        WHEN 'regclass' THEN CASE stand_in WHEN 'text' THEN 'text' ELSE type END
        ELSE type END
$$
"""
#: What looks like a call, and is a part of SQL's grammar.
GRAMMAR = {
    *("coalesce", "extract", "exists", "in", "values", "any", "all", "array", "with", "as", "over"),
    *("filter", "and", "or", "on", "from", "select", "where", "set", "limit", "copy", "case"),
    *("when", "then", "else", "not", "is", "insert", "into", "conflict", "returning", "union"),
    *("lateral", "using"),
}


def statements() -> dict[str, str]:
    """Our statements by name, without their comments."""
    files = sorted(Path(str(QUERIES)).glob("*.sql"))
    return {file.stem: re.sub(r"--.*", "", file.read_text()) for file in files}


def called(text: str) -> set[str]:
    """The functions that are called without their schema."""
    return set(re.findall(r"(?<![\w.])([a-z_0-9]+)\s*\(", text)) - GRAMMAR


def set_trap(database: str) -> None:
    migrations = Path(str(QUERIES)).parent / "migrations"
    texts = [*statements().values(), *(f.read_text() for f in migrations.glob("*.sql"))]
    names = {name for text in texts for name in re.findall(r"([a-z_0-9]+)\(", text)} - GRAMMAR
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "SELECT set_config('trap.names', %s::text[]::text, false)", [list(names)]
        )
        connection.execute(CONCRETE)
        connection.execute(TRAP)


@pytest.fixture
def trapped(database: str) -> Callable[[str], str]:
    """The database with the trap in it, and that search_path."""
    set_trap(database)
    return lambda path: make_conninfo(database, options=f"-csearch_path={path}")


def test_every_function_says_where_it_looks(connection: Connection) -> None:
    rows = connection.execute(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'wsup'::regnamespace"
        " AND NOT coalesce(proconfig, '{}') @> '{\"search_path=pg_catalog, pg_temp\"}'"
    ).fetchall()
    assert rows == []


def test_nobody_can_borrow_a_function_that_runs_as_its_owner(connection: Connection) -> None:
    rows = connection.execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'wsup'::regnamespace AND prosecdef"
        " AND (proacl IS NULL OR EXISTS (SELECT FROM aclexplode(proacl) WHERE grantee = 0))"
    ).fetchall()
    assert rows == [("current_lane",)]  # tells a number


def test_statements_name_functions_in_full() -> None:
    # Of `unnest` of several arrays the parser itself makes pg_catalog's. After AS stand aliases.
    found = {
        (name, function)
        for name, text in statements().items()
        if not name.startswith("migration_")
        for function in called(re.sub(r"unnest\(\w+\.\w+,|AS \w+\s*\(|wsup\.\w+ \(", "(", text))
    }
    assert found == {("prepare_pull", "pull")}


def test_the_trap_works(trapped: Callable[[str], str]) -> None:
    for path, statement in (
        (BEFORE_PUBLIC, "SELECT unnest(ARRAY['a'])"),
        (BEFORE_PUBLIC, "SELECT nextval('wsup.job_id')"),
        (BEFORE_PUBLIC, "SELECT 'a'::text || 1"),
        (BEFORE_PUBLIC, "SELECT '{[1,2)}'::int8multirange @> 1::bigint"),
        (BEFORE_ALL, "SELECT clock_timestamp()"),
        (BEFORE_ALL, "SELECT 1 = 1"),
        (BEFORE_ALL, "SELECT ARRAY['a'] = ARRAY['a']"),
    ):
        with (
            psycopg.connect(trapped(path)) as connection,
            pytest.raises(psycopg.errors.RaiseException, match="hijacked"),
        ):
            connection.execute(sql.SQL(statement))


@pytest.mark.parametrize("path", [BEFORE_PUBLIC, BEFORE_ALL])
def test_our_functions_are_not_misled(
    path: str, trapped: Callable[[str], str], connection: Connection
) -> None:
    with psycopg.connect(trapped(path), autocommit=True) as caller:
        for call in (
            "wsup.enqueue('a', '{}', delay => interval '1 hour', retries => 1)",
            "wsup.enqueue('a', '{}', 'b')",
            "wsup.enqueue('a')",
            "wsup.pull(1, '{default,b}', 10, true)",
            "wsup.promote(10)",
            "wsup.look('{default}')",
            "wsup.beat(1, '{default}', 1, 1, '{0,0,0}', true)",
            "wsup.peers(1)",
            "wsup.sweep(0, 10)",
            "wsup.next_lane('{0}')",
            "wsup.status(2)",
            "wsup.rescue(1, 5)",
            "wsup.cancel('{1,2,3}')",
            "wsup.cancelling(1)",
            "wsup.retry('{1,2,3}')",
        ):
            caller.execute(sql.SQL("SELECT * FROM ") + sql.SQL(call))
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="retries 30001"):
            caller.execute("SELECT wsup.enqueue('a', '{}', retries => 30001)")
    assert connection.execute("SELECT count(*) FROM wsup.ready").fetchone() == (3,)


@pytest.mark.parametrize("path", [BEFORE_PUBLIC, BEFORE_ALL])
def test_a_callers_connection_is_not_misled(
    path: str, trapped: Callable[[str], str], database: str, connection: Connection
) -> None:
    app = App(database=database)

    @app.task(name="a")
    def task(n: int) -> None:
        pass

    with psycopg.connect(trapped(path)) as caller:
        for delay in (None, 3600):
            mine = task.options(connection=caller, delay=delay, retries=3)
            mine.enqueue(1)
            mine.enqueue_many([{"n": n} for n in range(10)])
            mine.enqueue_many([{"n": n} for n in range(500)])
    counts = connection.execute(
        "SELECT (SELECT count(*) FROM wsup.ready), (SELECT count(*) FROM wsup.waiting)"
    ).fetchone()
    assert counts == (511, 511)
    app.close()


def test_a_supervisor_is_not_misled(trapped: Callable[[str], str], connection: Connection) -> None:
    dsn = trapped(BEFORE_PUBLIC)

    async def work(source: PostgresSource) -> None:
        row = {"host": "h", "pid": 1, "version": "1", "queues": ["default"]}
        await source.register(**row, subworkers=1, lease=30, direct=True)
        await source.sleep(["default"], 5)
        turn = await source.turn([], Pull(["default"], 10, True), promote=10)
        assert len(turn.rows) == 4
        assert len(await source.own_claims(0)) == 4
        await source.turn([succeeded(turn.rows[0]), failed(turn.rows[1], 9)], None)
        await source.beat(
            queues=["default"], jobs_done=1, memory=1, occupancy=[0.0, 0.0, 0.0], tell=True
        )
        await source.look(["default"])
        await source.peers()
        await source.lanes.vacuum(Lane("ready", 0))
        await source.lanes.next_lane([0])
        await source.lanes.sweep(Lane("ready", 0), 10)
        assert await source.predecessor(source.supervisor, "h", 1)
        await source.rescue(source.supervisor, 5)
        await source.leave()

    connection.execute("INSERT INTO wsup.job (task) SELECT 'a' FROM generate_series(1, 4)")
    with_source(dsn, work)
    assert len(pull(connection, 10)) == 2
    assert settle(dsn) == 0


def test_migrations_are_not_misled(empty_database: str) -> None:
    set_trap(empty_database)
    dsn = make_conninfo(empty_database, options=f"-csearch_path={BEFORE_PUBLIC}")
    with psycopg.connect(dsn, autocommit=True) as connection:
        migrate(connection)
        connection.execute("SELECT wsup.enqueue('a')")
