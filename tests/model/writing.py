"""The ways in which jobs come in."""

import json
from typing import Any, Final

import psycopg
from effects import Request
from sessions import Rows, Work, query, sql
from turns import LIMITS

from wsup.sql.steps import Ask, Load, perform

HOUR: Final = 3600.0


def gates(request: Request) -> tuple[object, ...]:
    """Parents, those of them that may end in whatever way, the key and its limit."""
    lax = [parent for parent, is_lax in request.parents.items() if is_lax]
    limit = LIMITS.get(request.key) if request.key else None
    return list(request.parents) or None, lax or None, request.key, limit


def insert(request: Request, way: str) -> Work:
    """The work that enqueues one or two jobs; its rows are their ids."""
    options = json.dumps({"retries": request.retries})
    wanted: tuple[object, ...] = (request.priority, request.queue, "task")
    match way:
        case "one":
            return query("enqueue", (None, None, *wanted, "{}", options, *gates(request)))
        case "one later":
            return query("enqueue", (None, HOUR, *wanted, "{}", options, *gates(request)))
        case "few":
            items = ["{}", "{}"]
            return query("enqueue_few", (None, None, *wanted, options, *gates(request), items))
    columns, name = ["{}", "", str(request.priority), request.queue, "task", options], "copy_jobs"
    if request.key:
        limit = str(LIMITS.get(request.key, ""))
        columns, name = [*columns, "", "", request.key, limit], f"{name}_gated"
    rest = "\t".join(columns)

    def copy(connection: "psycopg.Connection[Any]") -> Rows:
        ids = perform(connection, Ask("reserve_ids", (None, None, 2)))[0][0]
        perform(connection, Load(name, [f"{job}\t{rest}\n".encode() for job in ids]))
        return [(job,) for job in ids]

    return copy


def in_savepoint(request: Request) -> Work:
    """The work that enqueues a job and takes it back, the transaction going on."""
    enqueue = insert(request, "one")

    def work(connection: "psycopg.Connection[Any]") -> Rows:
        connection.execute("SAVEPOINT before")
        enqueue(connection)
        connection.execute("ROLLBACK TO before")
        return []

    return work


STANDING = """
SELECT u.id, wsup.status(u.id), ARRAY(SELECT d.parent FROM wsup.dependency d WHERE d.child = u.id)
  FROM unnest(%s::bigint[]) WITH ORDINALITY AS u(id, i) ORDER BY u.i
"""


def and_standing(work: Work) -> Work:
    """The work, whose rows begin with a job; then where these stand, and for whom they wait."""

    def done(connection: "psycopg.Connection[Any]") -> Rows:
        jobs = [row[0] for row in work(connection)]
        return sql(STANDING, [jobs])(connection)

    return done


def child(request: Request) -> Work:
    """The work that enqueues a job that has parents; no rows if one of those isn't there."""
    delay = HOUR if request.later else None
    enqueue = query("enqueue", (
        None, delay, request.priority, request.queue, "task", "{}",
        json.dumps({"retries": request.retries}), *gates(request),
    ))  # fmt: skip

    def work(connection: "psycopg.Connection[Any]") -> Rows:
        connection.execute("SAVEPOINT before")
        try:
            return enqueue(connection)
        except psycopg.errors.ForeignKeyViolation:
            connection.execute("ROLLBACK TO before")
            return []

    return and_standing(work)


def unique(request: Request, keys: list[str], on_conflict: str) -> Work:
    """The work that enqueues jobs with keys; its rows: job, what was made, where it stands."""
    delay = HOUR if request.later else None
    enqueue = query("enqueue_once", (
        "task", request.queue, request.priority, None, delay,
        json.dumps({"retries": request.retries}), ["{}" for _ in keys], keys, on_conflict, None,
    ))  # fmt: skip

    def work(connection: "psycopg.Connection[Any]") -> Rows:
        made = enqueue(connection)
        return [
            (keys[item - 1], job, what, sql(STANDING, [[job]])(connection)[0][1])
            for item, job, what in made
        ]

    return work
