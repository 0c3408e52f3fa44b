"""A clock for limits and ageing: it stands still until somebody says that a day has passed, for all
at once, whatever transactions are open."""

from typing import Any

import psycopg

#: What it is asked by.
READERS = ("serve", "next_token", "ring_gates", "set_timer", "rank_now")

#: A day is a little longer than one, lest a token a day be rounded off. A sequence, because no
#: transaction keeps what it says from others.
CLOCK = """
CREATE SEQUENCE wsup.model_day MINVALUE 0 START 0;
CREATE FUNCTION wsup.model_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
    SELECT timestamptz '2026-06-01 00:00:00+00'
         + (SELECT last_value FROM wsup.model_day) * interval '1 day 0.1 seconds'
$$;
ALTER TABLE wsup.job ALTER enqueued_at SET DEFAULT wsup.model_now();
"""


def install(connection: "psycopg.Connection[Any]") -> None:
    connection.execute(CLOCK)
    for name in READERS:
        row = connection.execute(
            "SELECT pg_get_functiondef(oid) FROM pg_proc"
            " WHERE pronamespace = 'wsup'::regnamespace AND proname = %s",
            [name],
        ).fetchone()
        assert row is not None
        assert "clock_timestamp()" in row[0], f"wsup.{name} asks no clock any more"
        connection.execute(row[0].replace("clock_timestamp()", "wsup.model_now()").encode())
