"""A job under a unique key, and what has become of it."""

from typing import Any

import psycopg
from road import pull
from stored import stored

from wsup import App, Job

Connection = psycopg.Connection[Any]


def pay(app: App, order: int = 1, key: str = "k", **options: Any) -> Job[Any]:
    return app.tasks["pay"].options(unique_key=key, **options).enqueue(order)


def take(connection: Connection) -> Any:
    """The one job that is ready, as supervisor 1 pulls it."""
    (row,) = pull(connection, 10, ["money", "other"])
    return row


def args(connection: Connection, job: Job[Any]) -> Any:
    return stored(connection, job.id)["args"]


# what has a key -------------------------------------------------------------------------------
