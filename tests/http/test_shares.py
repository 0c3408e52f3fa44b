"""One pull and one commit for several supervisors: to each what is its own."""

from typing import Any

import psycopg
import pytest
from road import fill, succeeded, with_source

from wsup.sql.answers import Pull, Row, Served, Turn
from wsup.sql.exchange import Exchange
from wsup.sql.session import Session
from wsup.sql.settlement import Entry
from wsup.sql.source import PostgresSource

Connection = psycopg.Connection[Any]
#: The server itself.
SERVER = 1


def turn(
    database: str,
    *entries: Entry,
    holders: dict[int, int] | None = None,
    shares: dict[int, int] | None = None,
    queues: tuple[str, ...] = ("default",),
) -> Turn:
    async def work(_: PostgresSource) -> Turn:
        session = Session(database)
        await session.connect()
        exchange = Exchange(session)
        exchange.supervisor = SERVER
        try:
            pull = Pull(queues, sum(shares.values())) if shares else None
            return await exchange.turn(entries, pull, served=Served(holders or {}, shares or {}))
        finally:
            await session.close()

    return with_source(database, work)


def numbers(turn: Turn) -> dict[int, int]:
    return {holder: len(rows) for holder, rows in turn.shared.items()}


def holders(turn: Turn) -> dict[int, int]:
    return {row[0]: holder for holder, rows in turn.shared.items() for row in rows}


def rows(turn: Turn) -> list[Row]:
    return [row for of_one in turn.shared.values() for row in of_one]


@pytest.mark.parametrize(
    ("jobs", "shares", "got"),
    [
        (20, {5: 4, 6: 8}, {5: 4, 6: 8}),  # enough for all
        (6, {5: 4, 6: 8}, {5: 2, 6: 4}),  # each by its part
        (2, {5: 8, 6: 8}, {5: 1, 6: 1}),
        (1, {5: 8, 6: 8}, {5: 1}),
        (0, {5: 8, 6: 8}, {}),
    ],
)
def test_a_pull_is_shared_by_what_each_can_take(
    database: str,
    connection: Connection,
    jobs: int,
    shares: dict[int, int],
    got: dict[int, int],
) -> None:
    fill(connection, jobs)
    taken = turn(database, shares=shares)
    assert numbers(taken) == got
    assert sorted(row[1] for row in rows(taken)) == sorted({row[1] for row in rows(taken)})
    held = connection.execute(
        "SELECT supervisor, id FROM wsup.claim WHERE supervisor <> %s", [SERVER]
    ).fetchall()
    assert {claim: holder for holder, claim in held} == holders(taken)  # one claim for each


def test_jobs_of_several_lanes_and_queues_are_shared_too(
    database: str, connection: Connection
) -> None:
    fill(connection, 6)
    connection.execute("SELECT nextval('wsup.lane_turn')")
    fill(connection, 6, "mail")
    taken = turn(database, shares={5: 10, 6: 10}, queues=("default", "mail"))
    assert numbers(taken) == {5: 6, 6: 6}


def test_results_of_several_are_one_commit(database: str, connection: Connection) -> None:
    fill(connection, 9)
    taken = turn(database, shares={5: 3, 6: 6})
    done = turn(database, *map(succeeded, rows(taken)), holders=holders(taken))
    assert done.refused == 0
    stored = connection.execute(
        "SELECT supervisor, count(*) FROM wsup.outcome GROUP BY supervisor ORDER BY supervisor"
    ).fetchall()
    assert stored == [(5, 3), (6, 6)]
    assert connection.execute("SELECT count(DISTINCT xmin::text) FROM wsup.outcome").fetchone() == (
        1,
    )
    assert connection.execute("SELECT count(*) FROM wsup.claim").fetchone() == (0,)


def test_who_was_refused_is_said(database: str, connection: Connection) -> None:
    fill(connection, 4)
    taken = turn(database, shares={5: 2, 6: 2})
    mine, theirs = taken.shared[5], taken.shared[6]
    turn(database, *map(succeeded, mine), holders=holders(taken))
    again = turn(database, *map(succeeded, mine + theirs), holders=holders(taken))
    assert again.refused == 2
    assert again.late == [mine[0][0]] * 2


def test_nobody_ends_the_jobs_of_another_one(database: str, connection: Connection) -> None:
    fill(connection, 4)
    taken = turn(database, shares={5: 2, 6: 2})
    stolen = dict.fromkeys(holders(taken), 5)
    done = turn(database, *map(succeeded, taken.shared[6]), holders=stolen)
    assert done.refused == 2
    assert connection.execute("SELECT count(*) FROM wsup.outcome").fetchone() == (0,)
