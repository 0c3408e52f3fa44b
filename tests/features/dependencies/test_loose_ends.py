"""The mark up to which loose ends are no longer looked for."""

import threading
import time
from typing import Any

import psycopg
from running import PATIENCE
from servers import IMMEDIATE, OwnServer

Connection = psycopg.Connection[Any]

LEAVE = "INSERT INTO wsup.loose_end (parent) VALUES (1) RETURNING id"
WAITING = (
    "SELECT count(*) FROM pg_locks WHERE relation = 'wsup.loose_end_low'::regclass AND NOT granted"
)


def number(connection: Connection, query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def test_one_that_is_left_amid_a_look_is_not_passed_over(
    database: str, connection: Connection
) -> None:
    connection.execute("SELECT setval('wsup.loose_end_id', 1000)")

    def look() -> None:
        with psycopg.connect(database, autocommit=True) as own:
            own.execute("SELECT wsup.tie_up(10)")

    looker = threading.Thread(target=look)
    with psycopg.connect(database) as holder, psycopg.connect(database) as slow:
        # Stops the look once it knows who leaves loose ends, and before it moves the mark.
        holder.execute("ALTER SEQUENCE wsup.loose_end_low RENAME TO another")
        looker.start()
        deadline = time.monotonic() + PATIENCE
        while not number(connection, WAITING):
            assert time.monotonic() < deadline
        left = number(slow, LEAVE)
        assert number(connection, LEAVE) > left  # committed, while the smaller one is not
        holder.rollback()
        looker.join()
        slow.commit()
    assert number(connection, "SELECT last_value FROM wsup.loose_end_low") == 1000
    connection.execute("SELECT wsup.tie_up(10)")
    assert number(connection, "SELECT count(*) FROM wsup.loose_end") == 0


def test_a_crash_of_the_server_does_not_move_the_mark(
    own_server: OwnServer, own_database: str
) -> None:
    own_server.end(IMMEDIATE)
    own_server.start()
    with psycopg.connect(own_database, autocommit=True) as connection:
        assert number(connection, "SELECT last_value FROM wsup.loose_end_low") == 0
