"""The plan guards: pages that a pull touches, on plans made for empty tables."""

from typing import Any

import psycopg
from standing_in_turn import fill, make_fair, taken

Connection = psycopg.Connection[Any]


def blocks(connection: Connection, n: int, queue: str = "mail") -> int:
    """Pages that a pull of so many touches; it is rolled back."""
    with connection.transaction(force_rollback=True):
        row = connection.execute(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM wsup.pull(1, %s, %s)",
            [["\x01", queue], n],
        ).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    assert plan["Actual Rows"] == n
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def tenants(connection: Connection, keys: int, each: int) -> None:
    """So many keys with a few jobs each, their marks worked off."""
    connection.execute(
        "INSERT INTO wsup.job (task, queue, key)"
        " SELECT 'noop', 'mail', 'key ' || k FROM generate_series(1, %s) k, generate_series(1, %s)",
        [keys, each],
    )
    while connection.execute("SELECT FROM wsup.ready WHERE job < 0").rowcount:
        taken(connection, 0)


def test_a_pull_does_not_cost_more_with_more_tenants_and_jobs(connection: Connection) -> None:
    make_fair(connection)
    for _ in range(10):
        assert taken(connection) == []
    tenants(connection, 150, 3)
    small = blocks(connection, 100)
    fill(connection, 100_000, "key 1")
    tenants(connection, 1_000, 2)
    assert blocks(connection, 100) <= 1.5 * small
    connection.execute("ANALYZE wsup.job, wsup.ready, wsup.blocked, wsup.key_holder")
    connection.execute("DISCARD PLANS")
    assert blocks(connection, 100) <= 1.5 * small


def test_nor_for_a_tenant_who_is_alone(connection: Connection) -> None:
    make_fair(connection)
    for _ in range(10):
        assert taken(connection) == []
    fill(connection, 1_000, "a")
    taken(connection, 0)
    small = blocks(connection, 500)
    fill(connection, 50_000, "a")
    taken(connection, 0)
    assert blocks(connection, 500) <= 1.5 * small


def test_nor_where_jobs_age(connection: Connection) -> None:
    connection.execute("SELECT wsup.set_queue('mail', ageing => '1 min')")
    for _ in range(10):
        assert taken(connection) == []
    fill(connection, 1_000, None)
    small = blocks(connection, 500)
    fill(connection, 50_000, None)
    assert blocks(connection, 500) <= 1.5 * small
