"""What the roles of `wsup roles` can do with dependencies."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from kin import NOTHING, child, remains, status
from road import fill, succeeded, with_source
from roles import grant, roles_on

from wsup.sql.answers import Pull
from wsup.sql.source import PostgresSource

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module", autouse=True)
def _roles(server: str) -> Iterator[None]:
    with roles_on(server):
        yield


def test_the_roles_suffice(database: str, connection: Connection) -> None:
    """Who enqueues may name parents; who runs jobs may tell their children, and hand on results."""
    dsns = grant(database)
    with psycopg.connect(dsns["enqueue"]) as writer:
        (parent,) = fill(writer, 1)
        writer.commit()
        job, other = child(writer, parent), child(writer, parent)
    connection.execute("SELECT wsup.cancel(ARRAY[%s::bigint])", [other])

    async def run(source: PostgresSource) -> Any:
        pull = Pull(["default"], 9)
        (row,) = (await source.turn([], pull)).rows
        await source.rescue(1, 5)
        (row,) = (await source.turn([], pull, promote=9)).rows
        return (await source.turn([succeeded(row, b'"secret"')], pull, promote=9)).rows

    (row,) = with_source(dsns["run"], run)
    assert row[1] == job
    assert json.loads(row[6]) == {"parents": [[parent, "succeeded", "secret"]]}
    assert remains(connection) == NOTHING
    with psycopg.connect(dsns["status"]) as watcher:
        assert status(watcher, job) == ["running"]
    for kind in ("enqueue", "status", "cancel"):
        with (
            psycopg.connect(dsns[kind]) as stranger,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            stranger.execute("SELECT wsup.options_and_parents(%s)", [job])
