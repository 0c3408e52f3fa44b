"""Jobs that are due later: promptly ready when idle, and no burden before."""

from collections.abc import Callable
from typing import Any

import psycopg
from road import fill
from running import Supervisor, finished, sleepers, until

Connection = psycopg.Connection[Any]

#: Seconds. What is promised; the best of several shows that nobody looks only now and then.
PROMPT = 0.05


def test_an_idle_supervisor_starts_them_on_time(
    make_supervisor: Callable[..., Supervisor], connection: Connection
) -> None:
    make_supervisor("--subworkers", "1", "--poll", "60").start()
    until(lambda: sleepers(connection), "it is idle")
    jobs = []
    for delay in (0.15, 0.3, 0.45):
        query = "SELECT wsup.enqueue('noop', delay => %s * interval '1 second')"
        row = connection.execute(query, [delay]).fetchone()
        assert row is not None
        jobs.append(row[0])
    assert finished(connection, *jobs) == ["succeeded"] * 3
    late = connection.execute(
        "SELECT extract(epoch FROM o.finished_at - j.run_at)::float8"
        " FROM wsup.job j JOIN wsup.outcome o ON o.job = j.id ORDER BY 1"
    ).fetchall()
    assert 0 <= late[0][0] < PROMPT, late


def pages(connection: Connection, query: str) -> tuple[int, int]:
    """Rows that a query gives, and pages that it touches; it is rolled back."""
    with connection.transaction(force_rollback=True):
        row = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}").fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    return plan["Actual Rows"], plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def test_a_million_cost_nothing(connection: Connection) -> None:
    pull = "SELECT * FROM wsup.pull(1, '{default}', 500)"
    promote = "SELECT * FROM wsup.promote(100)"
    for _ in range(6):  # planned while the tables were empty
        pages(connection, pull)
        pages(connection, promote)
    fill(connection, 1000)
    before = pages(connection, pull)
    assert before[0] == 500
    waiting = """INSERT INTO wsup.waiting (job, due_at, priority, attempt, queue)
                 SELECT i + 1000000, now() + %s + i * interval '1 ms', 0, 1, 'default'
                   FROM generate_series(1, %s) AS i"""
    connection.execute(waiting, ["1 day", 1_000_000])
    rows, touched = pages(connection, pull)
    assert rows == 500
    assert touched <= before[1]
    assert pages(connection, promote)[1] < 50
    connection.execute("UPDATE wsup.waiting SET due_at = now() WHERE job <= 1000100")
    assert pages(connection, promote)[1] < 100 * 20
