"""Rates, by the statements alone: what was saved up, and then by the clock."""

from gates import Connection, fill, ids, limit, taken
from road import failed, places, put_off, settle
from running import until

from wsup.sql.answers import Row


def test_a_rate_lets_in_what_was_saved_up_and_then_by_the_clock(connection: Connection) -> None:
    limit(connection, "task", "send", rate="50/second", burst=4)
    jobs = fill(connection, 10)
    assert ids(taken(connection)) == jobs[:4]
    assert taken(connection) == []
    rows: list[Row] = []

    def all_came() -> bool:
        connection.execute("SELECT wsup.promote(10)")
        rows.extend(taken(connection))
        return len(rows) == 6

    until(all_came)
    assert ids(rows) == jobs[4:]


def test_rates_of_a_queue_and_a_key(connection: Connection) -> None:
    limit(connection, "queue", "other", rate="1/hour", burst=3)
    limit(connection, "key", "smtp", rate="1/hour", burst=2)
    keyed = fill(connection, 5, key="smtp", key_limit=9)
    queued = fill(connection, 5, queue="other")
    free = fill(connection, 1)
    assert sorted(ids(taken(connection))) == sorted(keyed[:2] + queued[:3] + free)
    assert taken(connection) == []
    assert places(connection, keyed[2]) == ["blocked"]


def test_given_back_unstarted_it_needs_no_second_token(
    database: str, connection: Connection
) -> None:
    limit(connection, "task", "send", rate="1/hour", burst=1)
    first, _ = fill(connection, 2)
    (row,) = taken(connection)
    settle(database, put_off(row))
    (row,) = taken(connection)
    connection.execute("SELECT wsup.rescue(1, 5)")
    (row,) = taken(connection)
    assert row[1] == first
    settle(database, failed(row, 0.0))
    connection.execute("SELECT wsup.promote(10)")
    assert taken(connection) == [], "another attempt is another start"


def test_a_clock_that_jumps_brings_no_burst_and_no_standstill(connection: Connection) -> None:
    limit(connection, "task", "send", rate="20/second", burst=2)
    fill(connection, 50)
    assert len(taken(connection)) == 2

    def jump(by: str) -> None:
        """As if it had been another time when it was last looked at."""
        connection.execute("UPDATE wsup.gate_state SET at = at + %s::interval", [by])
        connection.execute(
            "WITH s AS (UPDATE wsup.gate_state SET timer = wsup.timer_number("
            "             wsup.timer_moment(timer) + %(by)s::interval) RETURNING timer)"
            " UPDATE wsup.ready r SET job = s.timer FROM s WHERE r.queue = E'\\004'",
            {"by": by},
        )

    def came() -> int:
        connection.execute("SELECT wsup.promote(10)")
        return len(taken(connection))

    jump("1 day")  # set back
    assert connection.execute("SELECT wsup.next_token()").fetchone() == (0,)
    assert came() <= 2
    assert until(came) <= 2
    jump("-1 day")  # set forward
    assert came() == 2
    assert came() <= 1
    assert until(came) <= 2


def test_a_timer_that_another_one_has_rung_is_set_anew(connection: Connection) -> None:
    limit(connection, "task", "send", rate="1/second", burst=1)
    fill(connection, 3)
    assert len(taken(connection)) == 1
    connection.execute("SELECT wsup.ring_gates()")
    assert taken(connection) == []
    timers = connection.execute("SELECT FROM wsup.ready WHERE queue = E'\\004'")
    assert timers.rowcount == 1
    next_due = connection.execute("SELECT next_due FROM wsup.look('{default}')").fetchone()
    assert next_due is not None
    assert 0 < next_due[0] <= 1
