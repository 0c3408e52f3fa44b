"""Whose turn it is, by the statements alone: places, and what moves jobs from them."""

from typing import Any

import psycopg
import pytest
from psycopg.errors import InvalidParameterValue
from road import failed, put_off, settle, succeeded
from standing_in_turn import fill, ids, keys, left_over, make_fair, standing, state, taken

Connection = psycopg.Connection[Any]


@pytest.fixture
def connection(connection: Connection) -> Connection:
    """Queue "mail" is fair."""
    make_fair(connection)
    return connection


def test_a_newcomer_waits_for_one_job_of_each_other_key(connection: Connection) -> None:
    for key in "abc":
        fill(connection, 50, key)
    assert sorted(map(str, keys(connection, taken(connection, 3)))) == ["a", "b", "c"]
    newcomer = fill(connection, 1, "z")
    found = [keys(connection, taken(connection, 1))[0] for _ in range(4)]
    assert sorted(map(str, found)) == ["a", "b", "c", "z"]
    assert state(connection, *newcomer) == ["running"]


def test_turns_are_taken_again_and_again(connection: Connection) -> None:
    for key in "abcd":
        fill(connection, 10, key)
    order = [keys(connection, taken(connection, 1))[0] for _ in range(40)]
    assert all(set(order[i : i + 4]) == set("abcd") for i in range(0, 40, 4))
    assert left_over(connection) == (0, 0, 0)


def test_who_is_alone_gets_all(connection: Connection) -> None:
    jobs = fill(connection, 1000, "a")
    assert ids(taken(connection, 600)) == jobs[:600]
    assert ids(taken(connection, 600)) == jobs[600:]
    assert left_over(connection) == (0, 0, 0)


def test_few_share_what_others_do_not_want(connection: Connection) -> None:
    fill(connection, 500, "a")
    fill(connection, 500, "b")
    fill(connection, 3, "c")
    found = keys(connection, taken(connection, 203))
    assert [found.count(key) for key in "abc"] == [100, 100, 3]
    for n in range(len(found)):  # not all of one before the other's
        assert abs(found[:n].count("a") - found[:n].count("b")) <= 1


def test_nobody_has_more_than_one_place(connection: Connection) -> None:
    for key in "ab":
        fill(connection, 30, key)
    for n in (1, 2, 7, 1, 20):
        taken(connection, n)
        assert len(standing(connection)) == 2


def test_without_a_key_a_job_goes_by_its_number(connection: Connection) -> None:
    fill(connection, 20, "a")
    taken(connection, 1)
    first, second = fill(connection, 2, None)
    assert ids(taken(connection, 3))[1:] == [first, second]


def test_priority_goes_before_turns(connection: Connection) -> None:
    fill(connection, 20, "a")
    taken(connection, 1)
    high = fill(connection, 2, "b", priority=5)
    assert ids(taken(connection, 1)) + ids(taken(connection, 1)) == high
    better = fill(connection, 1, "a", priority=5)  # behind one of its own key that has its turn
    assert better[0] in ids(taken(connection, 2))


def test_a_limit_still_holds(database: str, connection: Connection) -> None:
    jobs = fill(connection, 5, "a", 2)
    fill(connection, 5, "b")
    rows = [row for row in taken(connection, 10) if row[1] in jobs]
    assert ids(rows) == jobs[:2]
    settle(database, *map(succeeded, rows))
    assert ids(taken(connection, 10)) == jobs[2:4]


def test_with_a_limit_keys_take_turns_too(database: str, connection: Connection) -> None:
    fill(connection, 9, "a", 1)
    (row,) = taken(connection, 10)
    newcomer = fill(connection, 1, "b", 1)
    taken(connection, 0)
    settle(database, succeeded(row))
    taken(connection, 0)
    assert standing(connection)[-1:] == newcomer or standing(connection)[:1] == newcomer
    (first,) = taken(connection, 1)
    (second,) = taken(connection, 1)
    assert {first[1], second[1]} >= set(newcomer)


def test_what_is_given_back_comes_first(database: str, connection: Connection) -> None:
    jobs = fill(connection, 5, "a")
    fill(connection, 5, "b")
    (row,) = taken(connection, 1)
    settle(database, put_off(row))
    assert ids(taken(connection, 1)) == [row[1]]
    assert row[1] == jobs[0]


def test_a_retry_stands_in_line_again(database: str, connection: Connection) -> None:
    job, *others = fill(connection, 3, "a")
    (row,) = taken(connection, 1)
    settle(database, failed(row, 0.0))
    connection.execute("SELECT wsup.promote(10)")
    assert state(connection, job, *others) == ["blocked", "ready", "blocked"]
    assert [row[1:3] for row in taken(connection, 2)] == [(others[0], 1), (job, 2)]
    settle(database, *(failed(row) for row in taken(connection, 10)))
    assert list(connection.execute("SELECT state FROM wsup.retry(%s)", [others])) == [
        ("running",),
        ("blocked",),
    ]
    assert [row[1:3] for row in taken(connection, 2)] == [(others[1], 2)]


def test_what_its_host_lost_runs_again(connection: Connection) -> None:
    jobs = fill(connection, 5, "a")
    taken(connection, 3, supervisor=7)
    connection.execute("SELECT wsup.rescue(7, 5)")
    assert ids(taken(connection, 10)) == jobs
    assert left_over(connection) == (0, 0, 0)


@pytest.mark.parametrize("which", [0, 1, 4])
def test_one_in_line_is_cancelled(connection: Connection, which: int) -> None:
    """Whether it has its turn or not; the others come all the same."""
    jobs = fill(connection, 5, "a")
    taken(connection, 0)
    row = connection.execute("SELECT state FROM wsup.cancel(%s)", [[jobs[which]]]).fetchone()
    assert row == ("cancelled",)
    del jobs[which]
    assert ids(taken(connection, 10)) == jobs
    assert left_over(connection) == (0, 0, 0)


def test_one_to_be_cancelled_that_comes_back_never_runs(
    database: str, connection: Connection
) -> None:
    jobs = fill(connection, 3, "a")
    (row,) = taken(connection, 1)
    connection.execute("SELECT wsup.cancel(%s)", [[row[1]]])
    settle(database, failed(row, 0.0))
    connection.execute("SELECT wsup.promote(10)")
    assert ids(taken(connection, 10)) == jobs[1:]
    assert state(connection, row[1]) == ["cancelled"]


def test_all_that_stand_are_purged(connection: Connection) -> None:
    jobs = fill(connection, 5, "a") + fill(connection, 2, None) + fill(connection, 2, "b", 1)
    taken(connection, 0)
    purged = connection.execute("SELECT state FROM wsup.purge(%s, true)", [jobs]).fetchall()
    assert set(purged) == {("purged",)}
    assert taken(connection) == []
    assert left_over(connection) == (0, 0, 0)


def test_jobs_are_found_where_they_stand(connection: Connection) -> None:
    jobs = fill(connection, 3, "a")
    taken(connection, 0)
    rows = connection.execute("SELECT job, state FROM wsup.find_jobs(key => 'a') ORDER BY job")
    assert rows.fetchall() == list(zip(jobs, ["ready", "blocked", "blocked"], strict=True))
    assert state(connection, *jobs) == ["ready", "blocked", "blocked"]
    row = connection.execute(
        "SELECT turns_held_by, jobs_before FROM wsup.in_line(%s)", [jobs[2]]
    ).fetchone()
    assert row == ([jobs[0]], 1)


def test_a_swept_lane_keeps_the_order(connection: Connection) -> None:
    fill(connection, 3, "a")
    fill(connection, 3, "b")
    taken(connection, 0)
    before = standing(connection)
    connection.execute("SELECT nextval('wsup.lane_turn')")
    later = fill(connection, 1, "c")
    taken(connection, 0)
    assert standing(connection) == before + later
    assert connection.execute("SELECT wsup.sweep(0, 100)").fetchone() == (True,)
    assert standing(connection) == before + later
    assert ids(taken(connection, 3)) == before + later


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("wsup.set_queue('', true)", "the queue must be named"),
        ("wsup.set_queue('mail', ageing => '-1 s')", "-00:00:01 of queue mail is not between"),
        ("wsup.set_queue('mail', ageing => '3 years')", "3 years of queue mail is not between"),
    ],
)
def test_what_can_not_be_meant_is_refused(connection: Connection, call: str, message: str) -> None:
    with pytest.raises(InvalidParameterValue, match=message):
        connection.execute(f"SELECT {call}")


def test_many_take_turns_however_much_is_pulled(connection: Connection) -> None:
    """In the order of the pulls, none is ever ahead of another by more than one job."""
    names = [f"tenant{i}" for i in range(50)]
    fill(connection, 100, names[0])
    for name in names:
        fill(connection, 20, name)
    counts = dict.fromkeys(names, 0)
    for n in (1, 2, 7, 60, 120, 33, 49, 50, 51, 200):
        for key in keys(connection, taken(connection, n)):
            counts[str(key)] += 1
            assert max(counts.values()) - min(counts.values()) <= 1


def test_who_joins_while_the_last_one_is_being_taken_is_not_forgotten(
    database: str, connection: Connection
) -> None:
    fill(connection, 1, "a")
    taken(connection, 0)  # who serves the mark would hold the key's lock, too
    with psycopg.connect(database) as other:
        assert len(taken(other, 5, supervisor=2)) == 1
        late = fill(connection, 1, "a")
        assert taken(connection) == []
    assert ids(taken(connection)) == late
