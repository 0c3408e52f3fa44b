"""Jobs with a key that wait for others first: parents, then time, then the line."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lined_up
import psycopg
import pytest
from kin import NOTHING, look, reason, remains, status
from lined_up import begun, most_at_once
from road import failed, fill, places, pull, settle, succeeded, with_source
from roles import grant, roles_on
from running import Supervisor, all_over, until
from shell import Wsup, shown

from wsup import App
from wsup.sql.answers import Pull, Row, subscribed
from wsup.sql.source import PostgresSource

Connection = psycopg.Connection[Any]
Enqueue = Callable[..., int]
ENQUEUE = "SELECT wsup.enqueue('noop', key => %s, after => %s, delay => %s, queue => 'default')"


def keyed(connection: Connection, *after: int, key: str = "a", delay: str | None = None) -> int:
    """Enqueue a job that has a key, and waits for these; returns its id."""
    row = connection.execute(ENQUEUE, [key, list(after) or None, delay]).fetchone()
    assert row is not None
    return int(row[0])


def taken(connection: Connection) -> dict[int, Row]:
    return {row[1]: row for row in pull(connection, 100, subscribed(["default"]))}


def told(connection: Connection, call: str, jobs: list[int]) -> dict[int, str]:
    rows = connection.execute(f"SELECT job, state FROM wsup.{call}", {"jobs": jobs})  # noqa: S608
    return dict(rows.fetchall())


def nothing_is_left(connection: Connection) -> bool:
    look(connection)
    return remains(connection) == NOTHING


def test_a_child_joins_the_line_when_its_parents_have_ended(
    database: str, connection: Connection
) -> None:
    """At its place by age; until then, those who came later go first."""
    one, two = fill(connection, 2)
    holder = keyed(connection)
    child = keyed(connection, one, two)
    late, later = keyed(connection), keyed(connection)
    rows = taken(connection)
    assert sorted(rows) == [one, two, holder]
    settle(database, succeeded(rows[one]), succeeded(rows[holder]))
    rows |= taken(connection)
    assert late in rows
    assert status(connection, child, later) == ["blocked", "blocked"]
    assert (places(connection, child), places(connection, later)) == ([], ["blocked"])
    settle(database, succeeded(rows[two]))
    assert places(connection, child) == ["blocked"]
    for job in (late, child, later):
        settle(database, succeeded((rows | taken(connection))[job]))
        rows |= taken(connection)
    assert nothing_is_left(connection)


def test_the_time_comes_between_the_parents_and_the_key(
    database: str, connection: Connection
) -> None:
    parent, holder = *fill(connection, 1), keyed(connection)
    child = keyed(connection, parent, delay="1 h")
    over = keyed(connection, delay="1 h")
    rows = taken(connection)
    settle(database, succeeded(rows[parent]))
    assert places(connection, child) == ["waiting"]
    connection.execute("UPDATE wsup.waiting SET due_at = now()")
    look(connection)
    assert (places(connection, child), places(connection, over)) == (["blocked"], ["blocked"])
    settle(database, succeeded(rows[holder]))
    assert list(taken(connection)) == [child]


@pytest.mark.parametrize("behind", [0, 1], ids=["alone", "before another"])
def test_a_parent_of_the_same_key_hands_its_turn_to_its_child(
    database: str, connection: Connection, behind: int
) -> None:
    """In one round trip, which releases the child, lets it in, and brings it along."""
    parent = keyed(connection)
    child, other = keyed(connection, parent), keyed(connection, parent, key="b")
    for _ in range(behind):
        keyed(connection)
    row = taken(connection)[parent]
    pull = Pull(["default"], 10)
    turn = with_source(database, lambda source: source.turn([succeeded(row)], pull))
    assert turn.passed == 1
    assert sorted(row[1] for row in turn.rows) == [child, other]
    assert nothing_is_left(connection)


def test_a_turn_is_handed_to_a_child_though_nothing_is_pulled(
    database: str, connection: Connection
) -> None:
    parent = keyed(connection)
    child, late = keyed(connection, parent), keyed(connection)
    settle(database, succeeded(taken(connection)[parent]))
    assert (places(connection, child), places(connection, late)) == (["ready"], ["blocked"])


def test_a_parent_that_fails_passes_its_turn_on_and_its_children_have_none(
    database: str, connection: Connection
) -> None:
    parent = keyed(connection)
    child = keyed(connection, parent)
    grandchild, late = keyed(connection, child), keyed(connection)
    settle(database, failed(taken(connection)[parent]))
    assert reason(connection, child) == f"its parent, job {parent}, has failed"
    assert reason(connection, grandchild) == f"its parent, job {child}, was cancelled"
    assert list(taken(connection)) == [late]
    assert connection.execute("SELECT job FROM wsup.key_holder").fetchall() == [(late,)]


def test_a_parent_lost_too_often_passes_its_turn_on(connection: Connection) -> None:
    parent = keyed(connection)
    child, lax = keyed(connection, parent), keyed(connection)
    taken(connection)
    connection.execute("SELECT wsup.rescue(1, 0)")
    assert status(connection, parent, child) == ["failed", "cancelled"]
    assert list(taken(connection)) == [lax]


def test_one_whose_parents_have_ended_already_joins_the_line(
    database: str, connection: Connection
) -> None:
    (parent,) = fill(connection, 1)
    settle(database, succeeded(taken(connection)[parent]))
    holder, child = keyed(connection), keyed(connection, parent)
    rows = taken(connection)
    assert (list(rows), places(connection, child)) == ([holder], ["blocked"])
    settle(database, succeeded(rows[holder]))
    assert list(taken(connection)) == [child]


def test_a_child_that_came_while_its_parent_ended(database: str, connection: Connection) -> None:
    """Neither transaction saw the other: the loose end brings it into its line."""
    (parent,) = fill(connection, 1)
    holder = keyed(connection)
    rows = taken(connection)
    with psycopg.connect(database) as writer:
        child = keyed(writer, parent)
        settle(database, succeeded(rows[parent]))
    look(connection)
    assert places(connection, child) == ["blocked"]
    settle(database, succeeded(rows[holder]))
    assert list(taken(connection)) == [child]


# operators --------------------------------------------------------------------------------------


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


# the doors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, 150], ids=["one", "some", "many"])
def test_by_every_way_of_enqueueing(app: App, connection: Connection, count: int) -> None:
    parent = app.tasks["pay"].enqueue(order=0)
    task = app.tasks["pay"].options(key="back\\slash %d", key_limit=7, after=parent)
    if count == 1:
        task.enqueue(order=1)
    else:
        task.enqueue_many([{"order": n} for n in range(count)])
    rows = connection.execute(
        "SELECT key, key_limit, after FROM wsup.job WHERE id > %s", [parent.id]
    )
    assert rows.fetchall() == [("back\\slash %d", 7, [parent.id])] * count
    assert remains(connection)[0] == count


def test_a_graph_with_keys(app: App, connection: Connection) -> None:
    pay = app.tasks["pay"]
    graph = app.graph()
    first = graph.add(pay.options(key="a", key_limit=2), order=1)
    second = graph.add(pay.options(key="a", key_limit=2, after=first), order=2)
    plain = graph.add(pay.options(after=first), order=3)
    graph.enqueue()
    rows = connection.execute("SELECT key, key_limit FROM wsup.job ORDER BY id").fetchall()
    assert rows == [("a", 2), ("a", 2), (None, None)]
    assert (places(connection, first.id), places(connection, second.id)) == (["blocked"], [])
    assert (first.job.status(), second.job.status()) == ("blocked", "blocked")
    assert plain.job.status() == "blocked"


@pytest.fixture
def roles(server: str) -> Iterator[None]:
    with roles_on(server):
        yield


@pytest.mark.usefixtures("roles")
def test_the_roles_suffice(database: str) -> None:
    dsns = grant(database)
    with psycopg.connect(dsns["enqueue"]) as writer:
        parent = keyed(writer)
        child = keyed(writer, parent)

    async def run(source: PostgresSource) -> list[Row]:
        pull = Pull(["default"], 9)
        (row,) = (await source.turn([], pull)).rows
        return (await source.turn([succeeded(row)], pull, promote=9)).rows

    assert [row[1] for row in with_source(dsns["run"], run)] == [child]


# on supervisors ---------------------------------------------------------------------------------


def test_families_with_keys_run_in_both_orders(
    make_supervisor: Callable[..., Supervisor],
    database: str,
    connection: Connection,
    tmp_path: Path,
) -> None:
    """Of a key one at a time, no child before its parents, and nothing is left over; subworkers and
    a supervisor die on the way."""
    hosts = [make_supervisor("--subworkers", "2", app="lined_up:app").start() for _ in range(2)]
    lined_up.app.database = database
    chance = random.Random(7)
    ledger = tmp_path / "ledger"
    graph = lined_up.app.graph()
    nodes: list[Any] = []
    for number in range(60):
        key = chance.choice("abc")
        parents = chance.sample(nodes[-8:], min(len(nodes), chance.randrange(3)))
        how = "dies" if number == 20 else ""
        nodes.append(
            graph.add(
                lined_up.work.options(key=key, after=parents),
                str(ledger),
                key,
                0.01,
                how=how,
            )
        )
    graph.enqueue()
    until(lambda: len(begun(ledger)) > 30)
    hosts[0].kill()
    hosts[0].start()
    jobs = [node.id for node in nodes]
    assert all_over(connection, jobs) == {"succeeded": 60}
    for key in "abc":
        assert most_at_once(ledger, key) == 1
    began = begun(ledger)
    for node in nodes:
        after = connection.execute("SELECT after FROM wsup.job WHERE id = %s", [node.id]).fetchone()
        assert after is not None
        assert all(began.index(parent) < began.index(node.id) for parent in after[0] or [])
    assert nothing_is_left(connection)
    assert connection.execute("SELECT FROM wsup.key_holder").rowcount == 0
    lined_up.app.close()
