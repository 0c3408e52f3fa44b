"""What each role of `wsup roles` can do, and what it can't."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql
from road import pull, settle, succeeded, with_source
from roles import ROLES_SQL, grant, roles_on

from wsup import App
from wsup.cli import main
from wsup.errors import DatabaseError
from wsup.sql.lanes import LANES, TABLES, Lane
from wsup.sql.schedules import Definition, Move
from wsup.sql.source import PostgresSource

Connection = psycopg.Connection[Any]

#: Nobody but the schema's owner may do these.
FOR_NO_ROLE = (
    "UPDATE wsup.job SET args = '{}'",
    "UPDATE wsup.job SET priority = 9",
    "DELETE FROM wsup.job",
    "TRUNCATE wsup.job",
    "UPDATE wsup.outcome SET state = 'succeeded'",
    "DELETE FROM wsup.outcome",
    "UPDATE wsup.failure SET message = ''",
    "DELETE FROM wsup.failure",
    "SELECT wsup.retry('{1,2}')",
    "SELECT wsup.move('{2}', 'other')",
    "SELECT wsup.purge('{1,2}', true)",
    "SELECT wsup.rerun(1)",
    "SELECT wsup.pause_queue('default')",
    "SELECT wsup.resume_queue('default')",
    "ALTER TABLE wsup.job ADD COLUMN mine text",
    "DROP TABLE wsup.claim",
    "CREATE TABLE wsup.mine ()",
    "CREATE FUNCTION wsup.mine() RETURNS void LANGUAGE sql AS ''",
    "CREATE OR REPLACE FUNCTION wsup.current_lane() RETURNS smallint LANGUAGE sql AS 'SELECT 1'",
    "SELECT setval('wsup.job_id', 1)",
    "INSERT INTO wsup.migration VALUES (99, 'x', now(), '')",
    "CREATE TRIGGER mine AFTER INSERT ON wsup.job EXECUTE FUNCTION wsup.admit()",
)
#: Who only asks for jobs, or looks at them, may not do these either.
FOR_RUNNERS = (
    "INSERT INTO wsup.ready (job, rank, attempt, lane, queue) VALUES (1, 0, 1, 0, 'default')",
    "UPDATE wsup.ready SET attempt = 9",
    "DELETE FROM wsup.ready",
    "DELETE FROM wsup.waiting",
    "DELETE FROM wsup.claim",
    "DELETE FROM wsup.supervisor",
    "INSERT INTO wsup.outcome (job, state, attempt) VALUES (2, 'succeeded', 1)",
    "INSERT INTO wsup.schedule (app, name, task, queue, priority, args, every, timezone, catch_up)"
    " VALUES ('a', 'b', 'c', 'd', 0, '{}', 1, 'UTC', 'all')",
    "UPDATE wsup.schedule SET paused = true",
    "DELETE FROM wsup.schedule",
    "SELECT wsup.tick('a', now(), '{}', '{}', '{}', '{}', '{}', '{}')",
    "TRUNCATE wsup.ready_0",
    "LOCK TABLE wsup.ready IN ACCESS EXCLUSIVE MODE",
    "INSERT INTO wsup.cancel_request (job, kill) VALUES (2, true)",
    "DELETE FROM wsup.cancel_request",
    "SELECT wsup.cancelling(1)",
    "SELECT wsup.prune(NULL, 0, '{succeeded}', 0, 1)",
    "SELECT wsup.pull(1, '{default}', 1)",
    "SELECT wsup.rescue(1, 0)",
    "SELECT nextval('wsup.lane_turn')",
)
CANCEL = ("SELECT wsup.cancel('{1,2}')",)
FINISH = ("SELECT wsup.finish(1, 2, 0, 0, NULL)",)
CONTENTS = (
    "SELECT args FROM wsup.job",
    "SELECT args FROM wsup.schedule",
    "SELECT options FROM wsup.job",
    "SELECT result FROM wsup.outcome",
    "SELECT reason FROM wsup.outcome",
    "SELECT message FROM wsup.failure",
    "SELECT traceback FROM wsup.failure",
)
STATUSES = (
    "SELECT task FROM wsup.job",
    "SELECT state FROM wsup.outcome",
    "SELECT 1 FROM wsup.ready",
    "SELECT 1 FROM wsup.waiting",
    "SELECT 1 FROM wsup.claim",
    "SELECT 1 FROM wsup.supervisor",
    "SELECT wsup.status(1)",
)
ENQUEUE = ("INSERT INTO wsup.job (task) VALUES ('a')", "SELECT wsup.enqueue('a')")
BORROW = (
    "CREATE TEMP TABLE bait (id bigint, run_at timestamptz, priority smallint, queue text)",
    "CREATE TRIGGER t AFTER INSERT ON bait REFERENCING NEW TABLE AS new_jobs"
    " FOR EACH STATEMENT EXECUTE FUNCTION wsup.admit()",
)


@pytest.fixture(scope="module", autouse=True)
def _roles(server: str) -> Iterator[None]:
    with roles_on(server):
        yield


@pytest.fixture
def dsns(database: str, connection: Connection) -> dict[str, str]:
    """The roles' DSNs. Job 1 has ended, job 2 is ready."""
    made = grant(database)
    for secret in ("first", "second"):
        connection.execute(
            "SELECT wsup.enqueue('echo', jsonb_build_object('text', %s::text))", [secret]
        )
    settle(database, succeeded(pull(connection, 1)[0], b'"first"'))
    return made


@pytest.mark.parametrize(
    ("kind", "denied"),
    [
        ("enqueue", FOR_NO_ROLE + FOR_RUNNERS + CONTENTS + STATUSES + CANCEL + FINISH),
        ("run", FOR_NO_ROLE + ENQUEUE + CONTENTS[3:] + CANCEL),
        ("status", FOR_NO_ROLE + FOR_RUNNERS + CONTENTS + ENQUEUE + CANCEL + FINISH),
        ("read", FOR_NO_ROLE + FOR_RUNNERS + ENQUEUE + CANCEL + FINISH),
        ("cancel", FOR_NO_ROLE + FOR_RUNNERS + CONTENTS + STATUSES + ENQUEUE + FINISH),
        ("finish", FOR_NO_ROLE + FOR_RUNNERS + CONTENTS + STATUSES + ENQUEUE + CANCEL),
    ],
)
def test_what_a_role_may_not_do(kind: str, denied: tuple[str, ...], dsns: dict[str, str]) -> None:
    done = []
    with psycopg.connect(dsns[kind], autocommit=True) as connection:
        for statement in denied:
            try:
                with connection.transaction(force_rollback=True):
                    connection.execute(sql.SQL(statement))
            except psycopg.errors.InsufficientPrivilege:
                continue
            done.append(statement)
    assert done == []


def test_the_trigger_that_runs_as_the_owner_can_not_be_borrowed(dsns: dict[str, str]) -> None:
    with psycopg.connect(dsns["enqueue"], autocommit=True) as connection:
        connection.execute(BORROW[0])
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"function wsup\.admit"):
            connection.execute(BORROW[1])


def test_the_enqueuing_role_enqueues(dsns: dict[str, str], connection: Connection) -> None:
    app = App(database=dsns["enqueue"])

    @app.task(name="echo")
    def echo(text: str) -> str:
        return text

    job = echo.enqueue("one")
    echo.options(delay=60).enqueue("later")
    assert len(echo.enqueue_many([{"text": "few"}] * 10)) == 10
    assert len(echo.enqueue_many([{"text": "by COPY"}] * 500)) == 500
    with psycopg.connect(dsns["enqueue"]) as caller:
        caller.execute("SELECT wsup.enqueue('echo', '{\"text\": \"by SQL\"}')")
    by_hand = CliRunner().invoke(main, ["enqueue", "echo", "{}", "--database", dsns["enqueue"]])
    assert by_hand.exit_code == 0, by_hand.output
    assert connection.execute("SELECT count(*) FROM wsup.ready").fetchone() == (1 + 513,)
    assert connection.execute("SELECT count(*) FROM wsup.waiting").fetchone() == (1,)
    with pytest.raises(DatabaseError, match="refused: permission denied for table"):
        job.status()
    with pytest.raises(DatabaseError, match="refused: permission denied for table"):
        job.result(timeout=0)
    app.close()


def test_the_running_role_looks_after_the_lanes(
    dsns: dict[str, str], connection: Connection
) -> None:
    async def work(source: PostgresSource) -> None:
        await source.lanes.vacuum(Lane("ready", 0))
        await source.lanes.next_lane([0])
        for table in TABLES:
            swept = [await source.lanes.sweep(Lane(table, lane), 100) for lane in range(LANES)]
            assert swept.count(True) == LANES - 1

    with_source(dsns["run"], work)
    assert connection.execute("SELECT count(*) FROM wsup.ready").fetchone() == (1,)


def test_the_running_role_ticks(dsns: dict[str, str], connection: Connection) -> None:
    """It may enqueue no job but those that schedules ask for."""

    async def work(source: PostgresSource) -> None:
        table = source.schedules
        await table.define("a:app", [Definition("s", "t", "q", 0, "{}", None, "UTC", 1, "all")])
        (seen,) = await table.read("a:app")
        assert await table.tick("a:app", [Move(seen, seen.read_at, [seen.read_at])]) == {"s"}

    with_source(dsns["run"], work)
    assert connection.execute("SELECT count(*) FROM wsup.job WHERE task = 't'").fetchone() == (1,)


def test_the_running_role_has_old_jobs_removed(
    dsns: dict[str, str], connection: Connection
) -> None:
    with psycopg.connect(dsns["run"]) as running:
        removed = running.execute(
            "SELECT pruned FROM wsup.prune(1, 0, '{succeeded}', 0, 10)"
        ).fetchone()
    assert removed == (1,)
    assert connection.execute("SELECT id FROM wsup.job").fetchall() == [(2,)]


def test_the_status_role_sees_where_jobs_stand(dsns: dict[str, str]) -> None:
    with psycopg.connect(dsns["status"]) as connection:
        states = connection.execute("SELECT wsup.status(1), wsup.status(2)").fetchone()
    assert states == ("succeeded", "ready")
    listed = CliRunner().invoke(main, ["jobs", "list", "--database", dsns["status"]])
    assert listed.exit_code == 0, listed.output
    assert "succeeded" in listed.stdout
    for command in (["schedules", "list"], ["queues", "list"], ["jobs", "failed"]):
        seen = CliRunner().invoke(main, [*command, "--database", dsns["status"]])
        assert seen.exit_code == 0, seen.output
    shown = CliRunner().invoke(main, ["jobs", "show", "1", "--database", dsns["status"]])
    assert shown.exit_code == 1
    assert "permission denied" in shown.stderr


def test_the_cancelling_role_cancels(dsns: dict[str, str], connection: Connection) -> None:
    command = ["jobs", "cancel", "--database", dsns["cancel"]]
    by_hand = CliRunner().invoke(main, [*command, "2"])
    assert by_hand.exit_code == 0, by_hand.output
    assert connection.execute("SELECT wsup.status(2)").fetchone() == ("cancelled",)
    by_queue = CliRunner().invoke(main, [*command, "--queue", "default"])
    assert by_queue.exit_code == 1
    assert "permission denied" in by_queue.stderr


def test_the_finishing_role_ends_what_runs(dsns: dict[str, str], connection: Connection) -> None:
    connection.execute(
        "INSERT INTO wsup.supervisor (id, host, pid, version, queues, subworkers, lease)"
        " OVERRIDING SYSTEM VALUE VALUES (1, '', 0, '', '{}', 1, 9)"
    )
    ((claim, job, *_),) = pull(connection, 1)
    with psycopg.connect(dsns["finish"], autocommit=True) as tasks:
        for wrong in (claim + 1, job), (claim, job + 1):
            with pytest.raises(psycopg.DatabaseError, match="is no longer held under claim"):
                tasks.execute("SELECT wsup.finish(%s, %s, 0, 0, NULL)", wrong)
        tasks.execute("SELECT wsup.finish(%s, %s, 0, 0, '5')", [claim, job])
        with pytest.raises(psycopg.DatabaseError, match="is no longer held under claim"):
            tasks.execute("SELECT wsup.finish(%s, %s, 0, 0, '5')", [claim, job])
    assert connection.execute("SELECT wsup.status(%s)", [job]).fetchone() == ("succeeded",)
    assert connection.execute("SELECT FROM wsup.claim").rowcount == 0


def test_the_reading_role_sees_everything(dsns: dict[str, str]) -> None:
    shown = CliRunner().invoke(main, ["jobs", "show", "1", "--database", dsns["read"]])
    assert shown.exit_code == 0, shown.output
    assert "first" in shown.stdout


def test_the_roles_are_printed_and_can_be_made_again(database: str) -> None:
    printed = CliRunner().invoke(main, ["roles"])
    assert (printed.exit_code, printed.stdout) == (0, ROLES_SQL)
    assert grant(database) == grant(database)
