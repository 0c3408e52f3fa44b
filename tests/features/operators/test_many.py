"""Many jobs at once: chosen by a filter, counted, retried, moved, purged."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from road import failed, fill, places, pull, settle
from standing import everywhere, states

from wsup import App, UsageError
from wsup.errors import ArgumentsError, JobNotFound, TaskError

Connection = psycopg.Connection[Any]

HOUR = timedelta(hours=1)
FAILED = {"failed", "failed yesterday", "failed otherwise", "another task"}
CASES: list[tuple[dict[str, Any], set[str]]] = [
    ({"state": "ready"}, {"ready", "elsewhere"}),
    ({"state": "waiting"}, {"waiting"}),
    ({"state": "running"}, {"running"}),
    ({"state": "failed"}, FAILED),
    ({"queue": "other"}, {"elsewhere"}),
    ({"task": "fetch"}, {"another task"}),
    ({"task": "send", "state": "ready", "queue": "mail"}, {"ready"}),
    ({"error": "KeyError"}, {"failed otherwise", "another task"}),
    ({"error": "KeyError", "task": "send"}, {"failed otherwise"}),
    ({"error": "OSError"}, set()),  # that was an attempt before the last
    ({"state": "failed", "since": HOUR}, FAILED - {"failed yesterday"}),
    ({"state": "failed", "before": HOUR}, {"failed yesterday"}),
    ({"state": "ready", "since": datetime.now(UTC) - HOUR}, {"ready", "elsewhere"}),
    ({"state": "running", "before": HOUR}, set()),
]


@pytest.fixture
def jobs(connection: Connection) -> dict[str, int]:
    return everywhere(connection)


@pytest.mark.parametrize(("chosen", "names"), CASES)
def test_filters(
    chosen: dict[str, Any], names: set[str], app: App, jobs: dict[str, int], connection: Connection
) -> None:
    stand = states(connection, jobs)
    expected: dict[str, int] = {}
    for name in names:
        expected[stand[name]] = expected.get(stand[name], 0) + 1
    assert app.jobs(**chosen).count() == expected
    ids = [jobs[name] for name in names]
    assert app.jobs(ids, **chosen).count() == expected
    assert app.jobs([], **chosen).count() == {}


@pytest.mark.parametrize(
    ("verb", "chosen", "more", "after"),
    [
        ("retry", {"state": "failed", "task": "send"}, {}, dict.fromkeys(
            ("failed", "failed yesterday", "failed otherwise"), "ready")),
        ("retry", {"queue": "mail", "since": HOUR}, {}, dict.fromkeys(
            ("cancelled", "expired", "failed", "failed otherwise", "another task"), "ready")),
        ("retry", {"error": "ValueError"}, {}, dict.fromkeys(
            ("failed", "failed yesterday"), "ready")),
        ("cancel", {"task": "send"}, {}, dict.fromkeys(
            ("ready", "waiting", "elsewhere"), "cancelled")),
        ("purge", {"queue": "mail", "state": "failed"}, {}, dict.fromkeys(FAILED)),
        ("purge", {"task": "send"}, {}, dict.fromkeys(
            (*(FAILED - {"another task"}), "succeeded", "cancelled", "expired"))),
        ("purge", {"queue": "other"}, {}, {}),
        ("purge", {"queue": "mail"}, {"unstarted": True}, dict.fromkeys(
            (*FAILED, "succeeded", "cancelled", "expired", "ready", "waiting"))),
    ],
)  # fmt: skip
def test_each_verb_changes_what_its_dry_run_has_counted(
    verb: str,
    chosen: dict[str, Any],
    more: dict[str, Any],
    after: dict[str, str | None],
    app: App,
    jobs: dict[str, int],
    connection: Connection,
) -> None:
    """None: nothing is left of it."""
    before = states(connection, jobs)
    act = getattr(app.jobs(**chosen), verb)
    assert act(**more, dry_run=True) == len(after)
    assert states(connection, jobs) == before
    assert act(**more) == len(after)
    changed = {**before, **after}
    assert states(connection, jobs) == {name: s for name, s in changed.items() if s}
    gone = [jobs[name] for name, state in after.items() if state is None]
    left = "SELECT FROM wsup.failure WHERE job = ANY (%s)"
    assert connection.execute(left, [gone]).rowcount == 0


def test_jobs_that_have_not_started_move(
    app: App, jobs: dict[str, int], connection: Connection, database: str
) -> None:
    assert app.jobs(queue="mail").move("bulk", dry_run=True) == 2
    before = states(connection, jobs)
    assert app.jobs(queue="mail").move("bulk") == 2
    assert states(connection, jobs) == before
    assert app.jobs(queue="bulk").count() == {"ready": 1, "waiting": 1}
    assert pull(connection, 10, ["mail"]) == []
    (row,) = pull(connection, 10, ["bulk"])
    assert row[1] == jobs["ready"]
    settle(database, failed(row, 0.0))  # for a retry it comes back to where it is now
    connection.execute("UPDATE wsup.waiting SET due_at = now()")
    connection.execute("SELECT wsup.promote(10)")
    again = pull(connection, 10, ["bulk"])
    assert [row[1] for row in again] == [jobs["ready"], jobs["waiting"]]
    told = "SELECT job, state FROM wsup.move(ARRAY[%s, %s, 999]::bigint[], 'bulk')"
    assert connection.execute(told, [jobs["running"], jobs["failed"]]).fetchall() == [
        (jobs["running"], "running"), (jobs["failed"], "failed"), (999, None),
    ]  # fmt: skip


def test_moved_jobs_wake_who_sleeps(app: App, connection: Connection) -> None:
    fill(connection, 1, "nobody")
    connection.execute("LISTEN wsup")
    app.jobs(queue="nobody").move("somebody")
    assert [n.payload for n in connection.notifies(timeout=10, stop_after=1)] == ["queue"]


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("SELECT state FROM wsup.move(%s, 'bulk')", "running"),
        ("SELECT state FROM wsup.purge(%s, true)", "running"),
    ],
)
def test_one_that_is_just_being_pulled_is_left(
    statement: str, told: str, database: str, connection: Connection
) -> None:
    (job,) = fill(connection, 1)
    answers: list[Any] = []
    with (
        psycopg.connect(database) as puller,
        psycopg.connect(database, autocommit=True) as operator,
    ):
        pull(puller, 1)
        asking = threading.Thread(
            target=lambda: answers.append(operator.execute(statement, [[job]]).fetchall())
        )
        asking.start()
        waits = "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
        while not connection.execute(waits, [operator.info.backend_pid]).rowcount:
            pass
        puller.commit()
        asking.join()
    assert answers == [[(told,)]]
    assert places(connection, job) == ["claimed"]


def test_an_open_transaction_of_an_operator_holds_no_pull_up(
    database: str, connection: Connection
) -> None:
    jobs = fill(connection, 4, "a")
    others = fill(connection, 2, "b")
    connection.execute("SET lock_timeout = '10s'")
    with psycopg.connect(database) as operator:
        operator.execute("SELECT wsup.move(%s, 'c')", [jobs[:2]])
        operator.execute("SELECT wsup.purge(%s, true)", [jobs[2:3]])
        rows = [*pull(connection, 10, ["a"]), *pull(connection, 10, ["b"])]
        assert [row[1] for row in rows] == [jobs[3], *others]
    assert [places(connection, job) for job in jobs] == [["ready"]] * 2 + [[]] + [["claimed"]]
    assert [row[1] for row in pull(connection, 10, ["c"])] == jobs[:2]


def test_failed_jobs_are_counted_by_task_and_error(app: App, jobs: dict[str, int]) -> None:
    found = app.jobs().failed()
    assert [(f.task, f.error, f.jobs, f.last_job) for f in found] == [
        ("send", "ValueError", 2, jobs["failed yesterday"]),
        ("fetch", "KeyError", 1, jobs["another task"]),
        ("send", "KeyError", 1, jobs["failed otherwise"]),
    ]
    assert found[0].first_at < found[0].last_at - timedelta(hours=23)
    assert [f.error for f in app.jobs(task="fetch", since=HOUR).failed()] == ["KeyError"]


def test_a_finished_job_is_run_once_more(app: App, connection: Connection) -> None:
    pay = app.tasks["pay"]
    job = pay.options(priority=7, retries=2).enqueue(1)
    with pytest.raises(UsageError, match=f"^job {job.id} is ready: only a finished job"):
        job.rerun()
    job.cancel()
    with pytest.raises(ArgumentsError, match="unknown argument 'sum'"):
        job.rerun({"sum": 3})
    edited = job.rerun({"order": 2, "note": "by hand"})
    same = app.job(job.id).rerun()
    assert job.status() == "cancelled"
    rows = connection.execute(
        "SELECT id, queue, priority, args, options FROM wsup.job WHERE id <> %s ORDER BY id",
        [job.id],
    ).fetchall()
    options = {"retries": 2, "rerun_of": job.id}
    assert rows == [
        (edited.id, "money", 7, {"order": 2, "note": "by hand"}, options),
        (same.id, "money", 7, {"order": 1}, options),
    ]
    with pytest.raises(JobNotFound):
        app.job(999).rerun({})


def test_reruns_in_sql_are_checked(app: App, connection: Connection) -> None:
    job = app.tasks["pay"].enqueue(1)
    for arguments, why in (
        ((job.id, None), "is ready: only a finished job"),
        ((999, None), "there is no such job"),
    ):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match=why):
            connection.execute("SELECT wsup.rerun(%s, %s)", arguments)
    job.cancel()
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="must be a JSON object"):
        connection.execute("SELECT wsup.rerun(%s, '[1]')", [job.id])


@pytest.mark.parametrize(
    ("chosen", "verb", "why"),
    [
        ({}, "retry", "no job is named"),
        ({}, "purge", "no job is named"),
        ({"state": "ready"}, "retry", "for jobs that are failed, cancelled or expired"),
        ({"state": "running"}, "purge", "that are succeeded, failed, cancelled or expired"),
        ({"state": "failed"}, "cancel", "for jobs that are ready, waiting, blocked or running"),
        ({"state": "lost"}, "count", "state='lost': there is none such"),
        ({"since": 3}, "count", "since=3: give a datetime with a time zone, or a timedelta"),
        ({"before": datetime(2026, 1, 1)}, "count", "give a datetime with a time zone"),
        ({"state": "ready"}, "failed", "these jobs have not failed"),
    ],
)
def test_what_can_not_be_meant(chosen: dict[str, Any], verb: str, why: str, app: App) -> None:
    with pytest.raises(UsageError, match=why):
        getattr(app.jobs(**chosen), verb)()


def test_a_queue_needs_a_name(app: App, connection: Connection) -> None:
    with pytest.raises(TaskError, match="queue=''"):
        app.jobs(queue="a").move("")
    with pytest.raises(TaskError, match="queue=''"):
        app.queue("")
    for call in ("move('{}', '')", "pause_queue('')", "resume_queue(NULL)"):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="the queue must be named"):
            connection.execute(f"SELECT wsup.{call}")  # type: ignore[arg-type]


def test_in_asyncio(app: App, jobs: dict[str, int]) -> None:
    async def work() -> None:
        assert await app.jobs(task="fetch").acount() == {"failed": 1}
        assert len(await app.jobs(task="fetch").afailed()) == 1
        assert await app.jobs(task="fetch").aretry() == 1
        assert await app.jobs(task="fetch").amove("other") == 1
        assert await app.jobs(task="fetch").acancel() == 1
        assert (await app.job(jobs["another task"]).arerun()).id > jobs["another task"]
        assert await app.jobs(task="fetch", state="cancelled").apurge() == 1
        assert await app.queue("mail").apause()
        assert [q.name for q in await app.aqueues() if q.paused_at] == ["mail"]
        assert await app.queue("mail").aresume()

    asyncio.run(work())
