"""Removing what is old, by the statement alone: piece by piece, along the jobs' numbers."""

import re
from typing import Any

import psycopg
import pytest
from finished_jobs import DAY, finished_jobs, left
from road import fill, pull

from wsup.sql.lanes import LANES, TABLES

Connection = psycopg.Connection[Any]


def prune(
    connection: Connection,
    after: int = 0,
    *states: str,
    days: float = 7,
    most: int = 1000,
    supervisor: int | None = None,
) -> tuple[int, int, bool]:
    """A piece; returns how many jobs are gone, how far it came, and whether there is more."""
    row = connection.execute(
        "SELECT * FROM wsup.prune(%s, %s, %s::wsup.outcome_state[], %s, %s)",
        [supervisor, after, list(states or ("succeeded",)), days * DAY, most],
    ).fetchone()
    assert row is not None
    return row


def blocks(connection: Connection, after: int) -> int:
    """Pages that a piece touches."""
    row = connection.execute(
        "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)"
        " SELECT * FROM wsup.prune(NULL, %s, '{succeeded}', 604800, 1000)",
        [after],
    ).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def test_what_ended_long_ago_goes_with_all_that_hangs_on_it(connection: Connection) -> None:
    gone = finished_jobs(connection, 3)
    kept = [
        *finished_jobs(connection, 2, "failed"),
        *finished_jobs(connection, 2, days=6),
        *fill(connection, 2),
    ]
    pull(connection, 1)
    connection.execute("INSERT INTO wsup.cancel_request SELECT id, true FROM wsup.job")
    assert prune(connection)[0] == 3
    assert left(connection) == kept
    for table in ("outcome", "failure", "cancel_request"):
        query = f"SELECT FROM wsup.{table} WHERE job = ANY (%s)"
        assert connection.execute(query, [gone]).rowcount == 0  # type: ignore[arg-type]
        assert connection.execute(query, [kept]).rowcount > 0  # type: ignore[arg-type]


def test_a_key_that_still_counts_stays(connection: Connection) -> None:
    for job, until in zip(finished_jobs(connection, 3), ("+1 h", "-1 h", None), strict=True):
        connection.execute(
            "INSERT INTO wsup.unique_key VALUES ('noop', %s, %s, now() + %s::interval)",
            [str(job), job, until],
        )
    assert prune(connection)[0] == 3
    assert connection.execute("SELECT key FROM wsup.unique_key").fetchall() == [("1",)]


def test_every_table_whose_rows_hang_on_a_job_is_thought_of(connection: Connection) -> None:
    """A new one needs its line in wsup.forget, or be a place where only unfinished jobs stand."""
    places = {
        *(f"{table}_{lane}" for table in TABLES for lane in range(LANES)), *TABLES,
        "waiting", "outcome", "child", "dependency", "loose_end",
    }  # fmt: skip
    tables = connection.execute(
        "SELECT DISTINCT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'wsup'::regnamespace AND c.relkind IN ('r', 'p')"
        "   AND a.attname IN ('job', 'parent', 'child')"
    ).fetchall()
    row = connection.execute("SELECT prosrc FROM pg_proc WHERE proname = 'forget'").fetchone()
    assert row is not None
    forgotten = set(re.findall(r"DELETE FROM wsup\.(\w+)", row[0]))
    assert {table for (table,) in tables} - places == forgotten - {"job"}


def test_pieces_follow_each_other(connection: Connection) -> None:
    jobs = finished_jobs(connection, 25)
    young = finished_jobs(connection, 25, days=1)
    pieces = [prune(connection, most=10)]
    while pieces[-1][2]:
        pieces.append(prune(connection, pieces[-1][1], most=10))
    assert [piece[0] for piece in pieces] == [10, 10, 5]
    assert pieces[-1][1] == jobs[-1]
    assert left(connection) == young
    assert prune(connection, pieces[-1][1]) == (0, jobs[-1], False)


def test_one_that_lives_long_does_not_stop_the_walk(connection: Connection) -> None:
    """More of them than a piece has. They are met when the walk begins anew."""
    late = finished_jobs(connection, 15, days=1, enqueued=30)
    (waits,) = fill(connection, 1)
    gone = finished_jobs(connection, 4)
    young = finished_jobs(connection, 1, days=1)
    assert prune(connection, most=10) == (0, late[9], True)
    assert prune(connection, late[9], most=10) == (4, gone[-1], False)
    assert left(connection) == [*late, waits, *young]
    connection.execute("UPDATE wsup.outcome SET finished_at = now() - interval '8 days'")
    assert prune(connection, gone[-1])[0] == 1
    assert prune(connection)[0] == 15
    assert left(connection) == [waits]


def test_the_walk_ends_where_nothing_can_be_old(connection: Connection) -> None:
    """It does not read all that is young."""
    old = finished_jobs(connection, 1)
    finished_jobs(connection, 5000, days=1)
    connection.execute("VACUUM ANALYZE wsup.outcome, wsup.job")
    assert prune(connection, most=10) == (1, old[0], False)
    assert blocks(connection, old[0]) < 100


def test_a_pinned_snapshot_has_no_round_wade_through_the_dead_again(
    database: str, connection: Connection
) -> None:
    finished_jobs(connection, 20_000)
    young = finished_jobs(connection, 10, days=1)
    with psycopg.connect(database) as pin:
        pin.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        pin.execute("SELECT count(*) FROM wsup.job")
        gone, reached, more = prune(connection, most=30_000)
        assert (gone, more) == (20_000, False)
        assert blocks(connection, reached) < blocks(connection, 0) / 4
    assert left(connection) == young


def test_states_have_times_of_their_own(connection: Connection) -> None:
    finished_jobs(connection, 2, "failed", days=20)
    expired = finished_jobs(connection, 2, "expired", days=20)
    finished_jobs(connection, 2, "cancelled", days=20)
    assert prune(connection, 0, "cancelled", "failed", days=25)[0] == 0
    assert prune(connection, 0, "cancelled", "failed", days=19)[0] == 4
    assert left(connection) == expired
    assert prune(connection, 0, "failed", "expired", days=19)[0] == 2
    assert left(connection) == []


def test_one_that_somebody_is_retrying_is_not_waited_for(
    database: str, connection: Connection
) -> None:
    jobs = finished_jobs(connection, 3, "failed")
    with psycopg.connect(database) as operator:
        operator.execute("SELECT wsup.retry(%s)", [jobs[:1]])
        with pytest.raises(psycopg.errors.LockNotAvailable):
            prune(connection, 0, "failed")
    assert prune(connection, 0, "failed")[0] == 2
    assert [row[1] for row in pull(connection, 10)] == jobs[:1]


def test_one_at_a_time(database: str, connection: Connection) -> None:
    finished_jobs(connection, 20)
    with psycopg.connect(database) as other:
        assert prune(other, most=10)[0] == 10
        assert prune(connection, most=10) == (0, 0, False)
    assert prune(connection)[0] == 10


def test_of_the_supervisors_the_first_one_that_lives(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO wsup.supervisor (host, pid, version, queues, subworkers, lease)"
        " SELECT 'h', i, '1', '{}', 1, 30 FROM generate_series(1, 2) i"
    )
    first, second = (row[0] for row in connection.execute("SELECT id FROM wsup.supervisor"))
    finished_jobs(connection, 20)
    assert prune(connection, supervisor=second) == (0, 0, False)
    assert prune(connection, supervisor=first, most=5)[0] == 5
    served = "UPDATE wsup.supervisor SET via = %s WHERE id = %s"
    connection.execute(served, ["http", first])  # its server does it, whatever number that has
    assert prune(connection, supervisor=second, most=5)[0] == 5
    connection.execute(served, ["sql", first])
    connection.execute(
        "UPDATE wsup.supervisor SET beaten_at = now() - interval '3 minutes' WHERE id = %s", [first]
    )
    assert prune(connection, supervisor=second)[0] == 10
