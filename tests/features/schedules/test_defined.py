"""Which schedules there are: those of the code that was loaded last."""

import signal
from collections.abc import Callable
from typing import Any

import psycopg
from clocked_host import QUICK, every, is_seamless, more_ticks, named, ticks, write
from running import Supervisor, until

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]


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


def test_an_app_that_can_not_be_as_it_is_says_so_at_the_start(clocked: MakeSupervisor) -> None:
    host = clocked("@app.schedule('0 0 31 2 *')").launch()
    host.wait_for("schedule tick: cron='0 0 31 2 *' won't do: give")
    assert host.process is not None
    assert host.process.wait(20) == 2
