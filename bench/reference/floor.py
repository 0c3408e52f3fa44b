"""The floor: how many jobs a second PostgreSQL pulls and commits for one connection.

Run by hand with `python -m bench.reference.floor DSN [RUNS]`.
"""

from __future__ import annotations

import sys
import time
from functools import cache
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from . import arrays
from .database import QUEUE, connect, create, statement

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

SUPERVISOR = 1
SUCCEEDED = 1
NULL = b"null"


class FloorError(Exception):
    """The reference lost or repeated a job, so its rate means nothing."""


class FloorResult(msgspec.Struct, frozen=True):
    """One run; `statements` counts BEGIN and COMMIT too."""

    jobs: int
    seconds: float
    rate: float
    statements: int


class Settlement(NamedTuple):
    """The parameters of commit.sql."""

    claim: int
    jobs: arrays.BigintArray
    attempts: arrays.SmallintArray
    states: arrays.SmallintArray
    results: arrays.JsonArray


def measure(dsn: str, jobs: int = 150_000, batch: int = 500) -> FloorResult:
    """Fill, pull and commit `jobs` jobs, `batch` at a time; nothing is executed."""
    create(dsn, jobs)
    with connect(dsn, autocommit=False) as connection:
        started = time.perf_counter()
        statements = _drain(connection, batch)
        seconds = time.perf_counter() - started
        _check(connection)
    return FloorResult(jobs=jobs, seconds=seconds, rate=jobs / seconds, statements=statements)


def _drain(connection: psycopg.Connection[TupleRow], batch: int) -> int:
    """Take turns until a turn pulls nothing; return how many statements that took."""
    statements = 0
    pulled = _turn(connection, batch, [])
    statements += 3
    while pulled:
        pulled = _turn(connection, batch, pulled)
        statements += 4
    return statements


def _turn(
    connection: psycopg.Connection[TupleRow], batch: int, finished: list[TupleRow]
) -> list[TupleRow]:
    """Commit `finished` and pull the next batch: one transaction, one round trip.

    psycopg sends BEGIN ISOLATION LEVEL READ COMMITTED before the first statement.
    """
    settle, pull = connection.cursor(binary=True), connection.cursor(binary=True)
    with connection.pipeline():
        if finished:
            settle.execute(statement("commit"), _settlement(finished))
        pull.execute(statement("pull"), (batch, [QUEUE], SUPERVISOR))
        connection.commit()
    if finished and settle.fetchone() != (len(finished),):
        raise FloorError("a result was refused")
    return pull.fetchall()


def _settlement(finished: list[TupleRow]) -> Settlement:
    claims, jobs, attempts, _tasks, _args = zip(*finished, strict=True)
    states, results = _successes(len(finished))
    return Settlement(
        claim=claims[0],
        jobs=arrays.bigints(jobs),
        attempts=arrays.smallints(attempts),
        states=states,
        results=results,
    )


@cache
def _successes(count: int) -> tuple[arrays.SmallintArray, arrays.JsonArray]:
    """What `count` jobs that did nothing have to say: built once, since no job is executed."""
    return arrays.smallints([SUCCEEDED] * count), arrays.jsons([NULL] * count)


def _check(connection: psycopg.Connection[TupleRow]) -> None:
    left = connection.execute(statement("check")).fetchone()
    if left != (0, 0, 0, 0):
        raise FloorError(f"unfinished, strays, claims, ready = {left}")


def main(dsn: str, runs: int = 5) -> None:
    """Print each run and the median rate."""
    rates = []
    for run in range(1, runs + 1):
        result = measure(dsn)
        rates.append(result.rate)
        print(
            f"run {run}: {result.jobs} jobs in {result.seconds:.3f} s, {result.rate:,.0f} jobs/s, "
            f"{result.statements} statements"
        )
    print(f"median {median(rates):,.0f} jobs/s")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]))
