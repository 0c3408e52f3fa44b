"""Schedules: each tick becomes a job once, whatever happens to those that see to it."""

import signal
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import shell
from running import Supervisor, until

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]

APP = """
import os
from wsup import App, current_job

app = App()

{schedules}
@app.task(name="tick")
def tick(path: str = "") -> str:
    job = current_job()
    if path:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(fd, f"{{job.scheduled_for.timestamp():.1f}}\\n".encode())
        os.close(fd)
    return job.scheduled_for.isoformat()
"""
#: Seconds between ticks that a test waits for.
QUICK = 0.2


@pytest.fixture
def clocked(make_supervisor: MakeSupervisor) -> MakeSupervisor:
    """Makes supervisors of an app with these schedules, each a line of Python."""

    def make(*schedules: str, module: str = "clocked", flags: Sequence[str] = ()) -> Supervisor:
        supervisor = make_supervisor("--subworkers", "1", *flags, app=f"{module}:app")
        write(supervisor, *schedules, module=module)
        return supervisor

    return make


def write(supervisor: Supervisor, *schedules: str, module: str = "clocked") -> None:
    """The code of the app, of another length each time: Python can't tell files apart that are
    equally long and were written within a second."""
    file = supervisor.folder / f"{module}.py"
    before = len(file.read_text()) if file.exists() else 0
    text = APP.format(schedules="\n".join(schedules))
    file.write_text(text + "#" * (before == len(text)))


def ticks(connection: Connection, name: str = "tick") -> list[datetime]:
    """The ticks that jobs were made of, in the order in which they were."""
    rows = connection.execute(
        "SELECT (options->>'scheduled_for')::timestamptz FROM wsup.job"
        " WHERE options->>'schedule' = %s ORDER BY id",
        [name],
    ).fetchall()
    return [row[0] for row in rows]


def more_ticks(connection: Connection, n: int, name: str = "tick") -> None:
    """Wait for `n` more of them."""
    before = len(ticks(connection, name))
    until(lambda: len(ticks(connection, name)) >= before + n, f"{n} more ticks of {name}")


def is_seamless(found: Sequence[datetime], seconds: float = QUICK) -> bool:
    """Is each of them there once, and in order?"""
    step = timedelta(seconds=seconds)
    return list(found) == [found[0] + i * step for i in range(len(found))]


def named(connection: Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM wsup.schedule ORDER BY name").fetchall()
    return [row[0] for row in rows]


def settled(connection: Connection) -> None:
    """Wait until every job is over."""
    count = "SELECT count(*) FROM wsup.job j LEFT JOIN wsup.outcome o ON o.job = j.id WHERE {}"
    until(lambda: connection.execute(count.format("o.job IS NULL")).fetchone() == (0,))
    assert connection.execute(count.format("o.state <> 'succeeded'")).fetchone() == (0,)


def every(seconds: float, name: str = "tick", **more: object) -> str:
    options = "".join(f", {key}={value!r}" for key, value in more.items())
    return f"@app.schedule(every={seconds}, name={name!r}{options})"


def test_each_tick_is_enqueued_once_by_three_supervisors(
    clocked: MakeSupervisor, connection: Connection, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    hosts = [clocked(every(QUICK, args=(str(ledger),))).start() for _ in range(3)]
    more_ticks(connection, 25)
    assert [host.stop() for host in hosts] == [0, 0, 0]
    found = ticks(connection)
    assert is_seamless(found)
    clocked(every(3600)).start()  # runs what those have left
    settled(connection)
    assert sorted(ledger.read_text().split()) == [f"{tick.timestamp():.1f}" for tick in found]


def test_no_tick_is_lost_or_doubled_when_supervisors_are_killed_at_one(
    clocked: MakeSupervisor, connection: Connection
) -> None:
    hosts = [clocked(every(QUICK)).start() for _ in range(3)]
    for host in (*hosts[:2], *hosts[:2]):
        more_ticks(connection, 3)
        host.kill()
        more_ticks(connection, 3)
        host.start()
    more_ticks(connection, 3)
    for host in hosts:
        host.stop()
    assert is_seamless(ticks(connection))


def test_a_reload_adds_changes_and_removes(clocked: MakeSupervisor, connection: Connection) -> None:
    host = clocked(every(QUICK, "stays"), every(QUICK, "changes"), every(QUICK, "goes")).start()
    for name in ("stays", "changes", "goes"):
        more_ticks(connection, 2, name)
    write(host, every(QUICK, "stays"), every(0.5, "changes"), every(QUICK, "comes"))
    host.send(signal.SIGHUP)
    host.wait_for("schedule changes of clocked:app is changed")
    host.wait_for("schedule goes of clocked:app is removed")
    host.wait_for("schedule comes of clocked:app is added")
    assert named(connection) == ["changes", "comes", "stays"]
    gone, changed = ticks(connection, "goes"), ticks(connection, "changes")
    for name in ("stays", "changes", "comes"):
        more_ticks(connection, 5, name)
    assert ticks(connection, "goes") == gone
    assert is_seamless(ticks(connection, "stays"))
    assert is_seamless(ticks(connection, "changes")[len(changed) :], 0.5)


def test_an_app_leaves_the_schedules_of_others_alone(
    clocked: MakeSupervisor, connection: Connection
) -> None:
    clocked(every(QUICK, "theirs"), module="theirs").start()
    ours = clocked(every(QUICK, "ours"), module="ours").start()
    more_ticks(connection, 1, "ours")
    write(ours, module="ours")
    assert ours.ask("reload")["ok"]
    until(lambda: named(connection) == ["theirs"])
    more_ticks(connection, 2, "theirs")


def test_the_deploy_that_was_loaded_last_wins_on_all_hosts(
    clocked: MakeSupervisor, connection: Connection
) -> None:
    old = clocked(every(QUICK), every(QUICK, "dropped")).start()
    more_ticks(connection, 2, "dropped")
    new = clocked(every(0.5)).start()
    new.wait_for("schedule tick of clocked:app is changed")
    before = len(ticks(connection)), ticks(connection, "dropped")
    more_ticks(connection, 3)
    new.kill()  # the old one goes on with the new times, and without what was dropped
    more_ticks(connection, 3)
    assert old.stop() == 0
    assert is_seamless(ticks(connection)[before[0] :], 0.5)
    assert ticks(connection, "dropped") == before[1]


@pytest.mark.parametrize(
    ("catch_up", "missed"), [("none", []), ("last", [0]), ("all", [*range(-9, 1)])]
)
def test_missed_ticks_are_caught_up_by_policy(
    clocked: MakeSupervisor, connection: Connection, catch_up: str, missed: list[int]
) -> None:
    """The outage is one of the row: it says that the next tick was to come ten hours ago."""
    host = clocked(every(3600, catch_up=catch_up)).start()
    until(lambda: next_tick(connection))
    host.stop()
    connection.execute("UPDATE wsup.schedule SET next_tick = next_tick - interval '10 hours'")
    host.start()
    until(lambda: next_tick(connection) > server_time(connection))
    found = ticks(connection)
    latest = next_tick(connection) - timedelta(hours=1)
    assert found == [latest + timedelta(hours=hours) for hours in missed]
    settled(connection)


def next_tick(connection: Connection) -> Any:
    row = connection.execute("SELECT next_tick FROM wsup.schedule").fetchone()
    return row and row[0]


def server_time(connection: Connection) -> Any:
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    return row and row[0]


def test_a_paused_schedule_rests_and_can_be_run_by_hand(
    clocked: MakeSupervisor, connection: Connection, database: str
) -> None:
    clocked(every(QUICK, catch_up="all")).start()
    more_ticks(connection, 2)
    assert shell.wsup("schedules", "pause", "tick", "--database", database).exit_code == 0
    before = ticks(connection)
    time.sleep(4 * QUICK)  # what is measured is that nothing happens
    assert ticks(connection) == before
    job = int(shell.wsup("schedules", "trigger", "tick", "--database", database).stdout)
    settled(connection)
    assert connection.execute(
        "SELECT (o.result #>> '{}')::timestamptz = (j.options->>'scheduled_for')::timestamptz"
        "  FROM wsup.outcome o JOIN wsup.job j ON j.id = o.job WHERE o.job = %s",
        [job],
    ).fetchone() == (True,)
    assert shell.wsup("schedules", "resume", "tick", "--database", database).exit_code == 0
    more_ticks(connection, 3)
    found = ticks(connection)
    assert is_seamless(found[len(before) + 1 :])  # and none of those that came meanwhile
    assert found[len(before) + 1] > found[len(before)]


def test_without_notifications_schedules_tick_and_are_looked_at(
    clocked: MakeSupervisor, connection: Connection, database: str
) -> None:
    clocked(every(QUICK), flags=("--listen", "off", "--poll", "1")).start()
    more_ticks(connection, 5)
    assert is_seamless(ticks(connection))
    for verb in ("pause", "resume"):
        assert shell.wsup("schedules", verb, "tick", "--database", database).exit_code == 0
    more_ticks(connection, 3)


def test_a_schedule_that_a_host_can_not_keep_is_told_once_and_stops_no_other(
    clocked: MakeSupervisor, connection: Connection
) -> None:
    host = clocked(every(QUICK)).start()
    more_ticks(connection, 1)
    connection.execute(
        "INSERT INTO wsup.schedule (app, name, task, queue, priority, args, cron, timezone,"
        " catch_up) VALUES ('clocked:app', 'odd', 'tick', 'default', 0, '{}', '* * * * *',"
        " 'Mars/Base', 'last')"
    )
    host.wait_for("schedule odd: timezone='Mars/Base' means nothing here: give a name")
    more_ticks(connection, 5)
    assert host.log.count("means nothing here") == 1
    assert is_seamless(ticks(connection))


def test_a_restart_of_the_server_costs_no_tick(
    clocked: MakeSupervisor, own_server: Any, own_database: str, make_supervisor: MakeSupervisor
) -> None:
    host = make_supervisor("--subworkers", "1", app="clocked:app", database=own_database)
    write(host, every(QUICK))
    host.start()
    with psycopg.connect(own_database, autocommit=True) as connection:
        more_ticks(connection, 3)
    own_server.end()
    own_server.start()
    with psycopg.connect(own_database, autocommit=True) as connection:
        more_ticks(connection, 5)
        assert is_seamless(ticks(connection))
    assert host.stop() == 0


def test_an_app_that_can_not_be_as_it_is_says_so_at_the_start(clocked: MakeSupervisor) -> None:
    host = clocked("@app.schedule('0 0 31 2 *')").launch()
    host.wait_for("schedule tick: cron='0 0 31 2 *' won't do: give")
    assert host.process is not None
    assert host.process.wait(20) == 2


def test_an_hourly_schedule_keeps_an_idle_system_silent(
    clocked: MakeSupervisor, connection: Connection
) -> None:
    """As without one: at most 3 statements in 6 seconds, by the server's own statistics."""
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("this PostgreSQL was built without pg_stat_statements")
    clocked("@app.schedule('59 3 1 1 *', timezone='Europe/Vienna')").start()
    until(lambda: next_tick(connection))
    until(lambda: connection.execute("SELECT FROM wsup.sleeper").rowcount)

    def calls(what: str) -> int:
        row = connection.execute(
            "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements"
            " WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
            "   AND query NOT LIKE '%%pg_stat_statements%%' AND query LIKE %s",
            [what],
        ).fetchone()
        return int(row[0]) if row else 0

    def rests() -> bool:
        """Has it heard the call, which was also for itself, that there is a new schedule?"""
        looks = calls("%wsup.schedule%")
        time.sleep(1)  # what is measured is that nothing happens
        return calls("%wsup.schedule%") == looks

    until(rests)
    before, looks = calls("%wsup.%"), calls("%wsup.schedule%")
    assert looks > 0
    time.sleep(6)  # what is measured is that nothing happens
    assert calls("%wsup.%") - before <= 3
    assert calls("%wsup.schedule%") == looks
