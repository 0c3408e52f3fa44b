"""Deep lines, with dead rows that an old snapshot keeps before those who wait."""

import time
from typing import Any

import psycopg
from joined import ALL
from pinned import enqueue, pinned, running
from road import pull
from running import until

Connection = psycopg.Connection[Any]


def ending(connection: Connection) -> int:
    """Pages that the end of the running job touches, which hands its turn on."""
    query = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT wsup.end_turns(%s::bigint[])"
    row = connection.execute(query, [running(connection)]).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def look_at_all_again(connection: Connection, at: float) -> None:
    """Let the session's next look at the whole of lines be due at that second since the epoch."""
    connection.execute("SELECT set_config('wsup.lines', %s, false)", [str(at)])


def test_what_has_left_deep_lines_is_waded_through_now_and_then_only(
    connection: Connection, database: str
) -> None:
    dead = "SELECT pg_stat_get_dead_tuples('wsup.blocked_0'::regclass)"
    with pinned(database):
        connection.execute(
            "INSERT INTO wsup.blocked (job, rank, attempt, key_limit, lane, key, queue)"
            " SELECT -n, -1, 1, 1, 0, 'a', 'default' FROM generate_series(1, 60000) n"
        )
        connection.execute("DELETE FROM wsup.blocked")
        connection.execute("SELECT pg_stat_force_next_flush()")
        until(lambda: connection.execute(dead).fetchone() > (50_000,), "they are counted")
        jobs = enqueue(connection, 8)
        pull(connection, 0, ALL)
        look_at_all_again(connection, 0)
        whole = ending(connection)
        look_at_all_again(connection, 1e10)
        assert ending(connection) < whole / 5
        assert running(connection) == [jobs[2]]
        (urgent,) = enqueue(connection, 1, priority=1)
        ending(connection)
        assert running(connection) == [jobs[3]], "the first behind the one that has ended"
        look_at_all_again(connection, 0)
        began = time.time()
        ending(connection)
        assert running(connection) == [urgent]
        until_then = connection.execute("SELECT current_setting('wsup.lines')::float8").fetchone()
        assert until_then is not None
        assert 0 < until_then[0] - began <= time.time() - began + 10
