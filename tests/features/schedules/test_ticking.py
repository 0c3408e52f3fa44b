"""Schedules: each tick becomes a job once, whatever happens to those that see to it."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import shell
from clocked_host import (
    QUICK,
    every,
    is_seamless,
    more_ticks,
    next_tick,
    server_time,
    settled,
    ticks,
    write,
)
from counted import calls, count_statements
from running import Supervisor, until

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]


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


def test_an_hourly_schedule_keeps_an_idle_system_silent(
    clocked: MakeSupervisor, connection: Connection
) -> None:
    """As without one: at most 3 statements in 6 seconds, by the server's own statistics."""
    count_statements(connection)
    clocked("@app.schedule('59 3 1 1 *', timezone='Europe/Vienna')").start()
    until(lambda: next_tick(connection))
    until(lambda: connection.execute("SELECT FROM wsup.sleeper").rowcount)

    def rests() -> bool:
        """Has it heard the call, which was also for itself, that there is a new schedule?"""
        looks = calls(connection, "%wsup.schedule%")
        time.sleep(1)  # what is measured is that nothing happens
        return calls(connection, "%wsup.schedule%") == looks

    until(rests)
    before, looks = calls(connection, "%wsup.%"), calls(connection, "%wsup.schedule%")
    assert looks > 0
    time.sleep(6)  # what is measured is that nothing happens
    assert calls(connection, "%wsup.%") - before <= 3
    assert calls(connection, "%wsup.schedule%") == looks
