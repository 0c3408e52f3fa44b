"""What operators do with jobs that have a key, and wait for others or were waited for."""

import json

from families import Connection, Enqueue, keyed, nothing_is_left, taken, told
from kin import look, status
from road import failed, fill, places, pull, settle, succeeded
from shell import Wsup, shown

from wsup.sql.answers import subscribed


def test_cancelled_wherever_they_stand(database: str, connection: Connection) -> None:
    """Waiting for parents, in line, and with a turn: that goes on to who is next in line."""
    (one,), two = fill(connection, 1), keyed(connection)
    waits, in_line = keyed(connection, one), keyed(connection)
    child, late = keyed(connection, two), keyed(connection)
    connection.execute("SELECT wsup.work_off_marks()")
    assert [places(connection, job) for job in (waits, two)] == [[], ["ready"]]
    jobs = [waits, in_line, two]
    assert set(told(connection, "cancel(%(jobs)s)", jobs).values()) == {"cancelled"}
    assert sorted(taken(connection)) == [one, late]
    look(connection)
    assert status(connection, child) == ["cancelled"]
    assert nothing_is_left(connection)


def test_one_to_be_cancelled_that_was_given_back_tells_its_children_too(
    connection: Connection,
) -> None:
    parent = keyed(connection)
    child, late = keyed(connection, parent), keyed(connection)
    taken(connection)
    connection.execute("SELECT wsup.cancel(%s)", [[parent]])
    connection.execute("SELECT wsup.rescue(1, 5)")
    assert list(taken(connection)) == [late]
    assert status(connection, parent, child) == ["cancelled", "cancelled"]


def test_a_cancellation_meets_a_child_on_its_way_into_the_line(
    database: str, connection: Connection
) -> None:
    (parent,), holder = fill(connection, 1), keyed(connection)
    child = keyed(connection, parent)
    rows = taken(connection)
    settle(database, succeeded(rows[parent]))
    assert places(connection, child) == ["blocked"]
    # As by wsup.cancel, if it has looked before that.
    connection.execute("INSERT INTO wsup.cancel_request (job, kill) VALUES (%s, false)", [child])
    settle(database, succeeded(rows[holder]))
    assert list(taken(connection)) == []
    assert status(connection, child) == ["cancelled"]
    assert connection.execute("SELECT FROM wsup.key_holder").rowcount == 0


def test_run_again_they_wait_for_their_parents_and_then_in_line(
    database: str, connection: Connection
) -> None:
    parent = keyed(connection)
    child, holder = keyed(connection, parent), keyed(connection)
    settle(database, failed(taken(connection)[parent]))
    rows = taken(connection)
    jobs = [child, parent]
    assert told(connection, "retry(%(jobs)s)", jobs) == dict.fromkeys(jobs, "blocked")
    assert (places(connection, parent), places(connection, child)) == (["blocked"], [])
    settle(database, succeeded(rows[holder]))
    for job in (parent, child):
        ((number, row),) = taken(connection).items()
        assert (number, row[2]) == (job, 2)
        settle(database, succeeded(row))
    assert nothing_is_left(connection)


def test_moved_while_they_wait(database: str, connection: Connection) -> None:
    """For a parent, in line, and with a turn."""
    (parent,), ready = fill(connection, 1), keyed(connection)
    child, in_line = keyed(connection, parent), keyed(connection)
    connection.execute("SELECT wsup.work_off_marks()")
    jobs = [ready, child, in_line]
    assert told(connection, "move(%(jobs)s, 'other')", jobs) == dict.fromkeys(jobs, "moved")
    settle(database, succeeded(taken(connection)[parent]))
    for job in jobs:
        (row,) = pull(connection, 10, subscribed(["other"]))
        assert row[1] == job
        settle(database, succeeded(row))


def test_purged_while_they_wait(connection: Connection) -> None:
    """But for those that others wait for."""
    parent = keyed(connection)
    in_line = keyed(connection)
    child, of_in_line = keyed(connection, parent), keyed(connection, in_line)
    purge = "purge(%(jobs)s, true)"
    assert told(connection, purge, [parent, in_line]) == {parent: "blocked", in_line: "blocked"}
    assert told(connection, purge, [child]) == {child: "purged"}
    assert told(connection, purge, [parent]) == {parent: "purged"}
    assert list(taken(connection)) == [in_line]
    assert told(connection, purge, [of_in_line, in_line]) == {
        of_in_line: "purged", in_line: "running",
    }  # fmt: skip
    assert nothing_is_left(connection)


def test_why_a_job_is_blocked(
    database: str, connection: Connection, enqueue: Enqueue, wsup: Wsup
) -> None:
    (parent,), holder = fill(connection, 1), keyed(connection)
    child = enqueue("noop", "--key", "a", "--key-limit", 1, "--after", parent)
    in_line = keyed(connection)
    rows = taken(connection)
    row = shown(child)
    assert (row["state"], row["key"], row["waits_for"]) == ("blocked", "a", [parent])
    assert row["turns_held_by"] is None
    found = json.loads(wsup("jobs", "list", "--json", "--key", "a", "--state", "blocked").stdout)
    assert [row["id"] for row in found] == [in_line, child]
    settle(database, succeeded(rows[parent]))
    row = shown(child)
    assert (row["state"], row["waits_for"], row["turns_held_by"]) == ("blocked", None, [holder])
    assert (shown(in_line)["jobs_before"], row["jobs_before"]) == (1, 0)
    found = json.loads(wsup("jobs", "list", "--json", "--key", "a", "--state", "blocked").stdout)
    assert [row["id"] for row in found] == [in_line, child]
