"""Jobs with a key that wait for others first: parents, then time, then the line."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lined_up
import psycopg
import pytest
from families import Connection, keyed, nothing_is_left, taken
from kin import look, reason, remains, status
from lined_up import begun, most_at_once
from road import failed, fill, places, settle, succeeded, with_source
from roles import grant, roles_on
from running import Supervisor, all_over, until

from wsup import App
from wsup.sql.answers import Pull, Row
from wsup.sql.source import PostgresSource


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
