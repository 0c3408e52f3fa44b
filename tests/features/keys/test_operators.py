"""Jobs in line, in operators' hands."""

from typing import Any

import psycopg
from road import failed, places, pull, settle

from wsup import App
from wsup.sql.answers import Row, subscribed

Connection = psycopg.Connection[Any]


def line(app: App, n: int) -> list[int]:
    return [app.tasks["pay"].options(key="a").enqueue(order=order).id for order in range(n)]


def taken(connection: Connection, *queues: str) -> list[Row]:
    return pull(connection, 10, subscribed(queues))


def test_moved_and_purged_in_line_and_with_a_turn(app: App, connection: Connection) -> None:
    first, second, third = line(app, 3)
    connection.execute("SELECT wsup.work_off_marks()")
    assert places(connection, first) == ["ready"]
    assert app.jobs(key="a").move("other") == 3
    assert taken(connection, "money") == []
    assert app.jobs([first, second]).purge(unstarted=True) == 2
    assert [row[1] for row in taken(connection, "other")] == [third]


def test_failed_ones_run_again_in_their_line(
    app: App, database: str, connection: Connection
) -> None:
    jobs = line(app, 2)
    for _ in jobs:
        (row,) = taken(connection, "money")
        settle(database, failed(row))
    assert app.jobs(key="a", state="failed").retry(dry_run=True) == 2
    assert app.jobs(key="a", state="failed").retry() == 2
    assert [row[1] for row in taken(connection, "money")] == jobs[:1]
