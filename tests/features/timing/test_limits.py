"""Jobs that come too late, or take too long: what really runs, and what is said of it."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb
from running import Supervisor, failures, finished, runs, state, until

from wsup import App, JobExpired

Connection = psycopg.Connection[Any]
Enqueue = Callable[..., int]


@pytest.fixture(scope="module")
def database(server: str, template: str) -> Iterator[str]:
    """One for all tests here, as there is one supervisor."""
    name = f"wsup_test_{os.getpid()}_limits"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield make_conninfo(server, dbname=name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module", autouse=True)
def host(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    folder = tmp_path_factory.mktemp("host")
    shutil.copy(Path(__file__).with_name("timely.py"), folder)
    flags = ("--subworkers", "2", "--kill-grace", "0.2")
    supervisor = Supervisor(database, folder, "timely:app", *flags).start()
    yield supervisor
    supervisor.kill()
    print(supervisor.log)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def ask(connection: Connection, ledger: Path) -> Enqueue:
    """Enqueues a task with these parameters of wsup.enqueue, such as "expires => '1 s'"."""

    def enqueue(task: str, given: str = "", **args: object) -> int:
        query = f"SELECT wsup.enqueue(%s, %s{given and ', ' + given})"
        parameters = [task, Jsonb({"path": str(ledger), **args})]
        row = connection.execute(query, parameters).fetchone()
        assert row is not None
        return int(row[0])

    return enqueue


def reason(connection: Connection, job: int) -> str:
    row = connection.execute("SELECT reason FROM wsup.outcome WHERE job = %s", [job]).fetchone()
    assert row is not None
    return str(row[0])


# expires --------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["touch", "touch_async"])
@pytest.mark.parametrize("limit", ["expires", "deadline"])
def test_what_has_not_started_in_time_never_does(
    task: str,
    limit: str,
    ask: Enqueue,
    connection: Connection,
    ledger: Path,
    database: str,
) -> None:
    late = ask(task, f"{limit}_at => now() - interval '1 ms'")
    soon = ask(task, f"{limit} => '1 h'")
    assert finished(connection, late, soon) == ["expired", "succeeded"]
    assert runs(ledger) == Counter([soon])
    what = "not started by its deadline, 20" if limit == "deadline" else "not started by 20"
    assert reason(connection, late).startswith(what)
    with pytest.raises(JobExpired, match=rf"^job {late} is expired: {what}"):
        App(database).job(late).result()
    (started,) = connection.execute("SELECT seconds FROM wsup.outcome WHERE job = %s", [late])
    assert started == (0.0,)


def test_a_job_that_waits_too_long_behind_others(
    ask: Enqueue, connection: Connection, ledger: Path
) -> None:
    first = [ask("linger"), ask("linger")]
    until(lambda: len(runs(ledger)) == 2, "every subworker has one")
    behind = ask("touch", "expires => '50 ms'")
    after = "SELECT clock_timestamp() > (options->>'expires_at')::timestamptz FROM wsup.job"
    until(lambda: connection.execute(f"{after} WHERE id = {behind}").fetchone() == (True,))
    assert state(connection, behind) in ("ready", "running")
    Path(f"{ledger}.go").touch()
    assert finished(connection, *first, behind) == ["succeeded", "succeeded", "expired"]


def test_a_tasks_own(host: Supervisor, database: str, connection: Connection, ledger: Path) -> None:
    app = App(database)
    app.task(name="brief", expires=0.05)(lambda path: None)
    host.ask("pause")
    late = app.tasks["brief"].enqueue(str(ledger)).id
    after = "SELECT clock_timestamp() > (options->>'expires_at')::timestamptz FROM wsup.job"
    until(lambda: connection.execute(f"{after} WHERE id = {late}").fetchone() == (True,))
    host.ask("resume")
    assert finished(connection, late) == ["expired"]
    app.close()


@pytest.mark.parametrize(("ahead", "end"), [(60, "succeeded"), (-60, "expired")])
def test_of_a_schedules_job_it_counts_from_the_tick(
    ahead: int, end: str, connection: Connection, ledger: Path
) -> None:
    # As wsup.tick makes it; this machine's clock is the server's.
    tick = datetime.now(UTC) + timedelta(seconds=ahead)
    options = {"schedule": "brief", "scheduled_for": tick.isoformat()}
    row = connection.execute(
        "INSERT INTO wsup.job (task, args, options) VALUES ('brief', %s, %s) RETURNING id",
        [Jsonb({"path": str(ledger)}), Jsonb(options)],
    ).fetchone()
    assert row is not None
    assert finished(connection, row[0]) == [end]


def test_one_that_has_started_in_time_may_fail_and_try_again(
    ask: Enqueue, connection: Connection, ledger: Path
) -> None:
    job = ask("fail", "expires => '1 s', retries => 1", after=1.1)
    assert finished(connection, job) == ["failed"]
    assert runs(ledger)[job] == 2


def test_one_that_has_snoozed_counts_as_not_started(
    ask: Enqueue, connection: Connection, ledger: Path
) -> None:
    job = ask("snooze", "expires => '1 s'")
    assert finished(connection, job) == ["expired"]
    assert runs(ledger)[job] == 1


def test_an_operator_may_run_an_expired_job(
    ask: Enqueue, connection: Connection, ledger: Path
) -> None:
    job = ask("touch", "expires_at => now()")
    assert finished(connection, job) == ["expired"]
    connection.execute("SELECT wsup.retry(ARRAY[%s::bigint])", [job])
    assert finished(connection, job) == ["succeeded"]


# deadline -------------------------------------------------------------------------------------


def test_at_its_deadline_an_attempt_is_ended_and_none_follows(
    ask: Enqueue, connection: Connection, ledger: Path
) -> None:
    jobs = [
        ask(task, f"deadline => '1 s'{timeout}")
        for task in ("linger", "linger_async")
        for timeout in ("", ", timeout => 60")
    ]
    assert finished(connection, *jobs) == ["failed"] * 4
    assert runs(ledger) == Counter(jobs)
    for job in jobs:
        ((attempt, kind, message),) = failures(connection, job)
        assert (attempt, kind) == (1, "TimedOut")
        assert message.startswith("the deadline, 20")
        assert "was reached (not tried again: the deadline is 20" in message
    early = connection.execute(
        """SELECT min(o.finished_at - (j.options->>'deadline')::timestamptz)
             FROM wsup.job j JOIN wsup.outcome o ON o.job = j.id WHERE j.id = ANY (%s)""",
        [jobs],
    ).fetchone()
    assert early is not None
    assert early[0] > timedelta(milliseconds=-50)  # both clocks agree but for an answer's way


@pytest.mark.parametrize("task", ["linger", "linger_async"])
def test_a_time_out_that_comes_first_is_one(
    task: str, ask: Enqueue, connection: Connection
) -> None:
    job = ask(task, "deadline => '1 h', timeout => 0.1, retries => 1")
    assert finished(connection, job) == ["failed"]
    assert [f[2] for f in failures(connection, job)] == ["the time-out was reached"] * 2


def test_a_task_knows_how_long_it_has(ask: Enqueue, connection: Connection, ledger: Path) -> None:
    Path(f"{ledger}.go").touch()
    job = ask("linger", "deadline => '1 h', timeout => 7200")
    assert finished(connection, job) == ["succeeded"]
    (left,) = connection.execute(
        "SELECT result::text::float FROM wsup.outcome WHERE job = %s", [job]
    )
    assert 3500 < left[0] <= 3600.1


def test_no_retry_is_made_beyond_it(ask: Enqueue, connection: Connection, ledger: Path) -> None:
    job = ask("fail", "deadline => '1 h'", after=3601.0)
    assert finished(connection, job) == ["failed"]
    ((_, _, message),) = failures(connection, job)
    assert message.startswith("no luck (not tried again: the deadline is 20")


def test_nor_after_the_death_of_its_subworker(
    ask: Enqueue, connection: Connection, ledger: Path
) -> None:
    job = ask("die", "deadline => '30 min'")
    assert finished(connection, job) == ["failed"]
    ((_, kind, message),) = failures(connection, job)
    assert kind == "SubworkerDied"
    assert message.startswith("subworker died: SIGKILL (not tried again: the deadline is 20")


def test_one_that_goes_on_is_killed(ask: Enqueue, connection: Connection, ledger: Path) -> None:
    job = ask("stubborn", "deadline => '1 s'")
    assert finished(connection, job) == ["failed"]
    ((_, kind, message),) = failures(connection, job)
    assert kind == "TimedOut"
    assert "SIGKILL (not tried again: the deadline is" in message


def test_one_that_waits_for_a_retry_as_it_passes(
    ask: Enqueue, connection: Connection, ledger: Path
) -> None:
    job = ask("fail", "deadline => '1 h', retries => 5", after=3000.0)
    until(lambda: state(connection, job) == "waiting", "it has failed once")
    connection.execute(
        "UPDATE wsup.job SET options = jsonb_set(options::jsonb, '{deadline}', to_jsonb(now()))"
    )
    connection.execute("UPDATE wsup.waiting SET due_at = now()")
    connection.execute("SELECT pg_notify('wsup', 'waiting')")
    assert finished(connection, job) == ["failed"]
    assert runs(ledger)[job] == 1
    (_, (attempt, kind, message)) = failures(connection, job)
    assert (attempt, kind) == (2, "DeadlinePassed")
    assert message.endswith("had passed before attempt 2 could start")
