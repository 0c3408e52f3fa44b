"""What limits cost: pages touched, not time."""

from typing import Any

import psycopg
from gates import Connection, fill, limit, taken
from psycopg.sql import SQL
from road import succeeded, with_source

from wsup.sql.answers import Pull
from wsup.sql.source import PostgresSource

ALL = Pull(["default"], 100)


def pages(connection: Connection, call: str, before: str = "SELECT") -> int:
    """How many pages a statement looks at; what it, and the one before it, does is undone."""
    with connection.transaction(force_rollback=True):
        connection.execute(before)  # type: ignore[arg-type]
        row = connection.execute(
            SQL("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT {}").format(SQL(call))  # type: ignore[arg-type]
        ).fetchone()
    assert row is not None
    plan: dict[str, Any] = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def work_off(database: str, turns: int) -> None:
    """Pull and settle, again and again."""

    async def work(source: PostgresSource) -> None:
        rows = (await source.turn([], ALL)).rows
        for _ in range(turns):
            rows = (await source.turn([succeeded(row) for row in rows], ALL)).rows
            assert len(rows) == 5

    with_source(database, work)


def test_how_far_a_limit_is_stands_in_one_row_whatever_a_snapshot_pins(
    database: str, connection: Connection
) -> None:
    limit(connection, "task", "send", max_running=5, rate="1000000/second")
    with psycopg.connect(database) as pin:
        pin.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        pin.execute("SELECT FROM wsup.job")
        fill(connection, 1000)
        work_off(database, 150)
        connection.execute("SELECT wsup.rescue(1, 100)")
        assert connection.execute("SELECT FROM wsup.gate_state").rowcount == 1


def test_a_long_line_costs_the_others_nothing(connection: Connection) -> None:
    def cost() -> int:
        fill(connection, 50, "noop")
        looked_at = pages(connection, "count(*) FROM wsup.pull(1, '{default}', 50)")
        assert len(taken(connection)) == 50
        return looked_at

    limit(connection, "task", "send", max_running=1)
    fill(connection, 1)
    taken(connection)
    cost()
    before = cost()
    fill(connection, 10_000)
    taken(connection)
    # The tree of the jobs' numbers has grown, perhaps by a level.
    assert cost() <= before + 60
