"""The ways in which jobs come in."""

import json
from typing import Any, Final

import psycopg
from reference import Request
from sessions import Rows, Work, query

from wsup.sql.steps import Ask, Load, perform

HOUR: Final = 3600.0
#: No parents of either kind, no key and no limit.
NO_GATES: Final = (None,) * 4


def insert(request: Request, way: str) -> Work:
    """The work that enqueues one or two jobs; its rows are their ids."""
    options = json.dumps({"retries": request.retries})
    wanted: tuple[object, ...] = (request.priority, request.queue, "task")
    match way:
        case "one":
            return query("enqueue", (None, None, *wanted, "{}", options, *NO_GATES))
        case "one later":
            return query("enqueue", (None, HOUR, *wanted, "{}", options, *NO_GATES))
        case "few":
            return query("enqueue_few", (None, None, *wanted, options, *NO_GATES, ["{}", "{}"]))
    rest = "\t".join(("{}", "", str(request.priority), request.queue, "task", options))

    def copy(connection: "psycopg.Connection[Any]") -> Rows:
        ids = perform(connection, Ask("reserve_ids", (None, None, 2)))[0][0]
        perform(connection, Load("copy_jobs", [f"{job}\t{rest}\n".encode() for job in ids]))
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
