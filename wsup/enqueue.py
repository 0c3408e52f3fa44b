"""Enqueueing jobs: one or many, typed or by name, in a transaction of their own or in yours."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, ParamSpec, TypeAlias, TypeVar

import psycopg
from psycopg.pq import PipelineStatus

from wsup.errors import ArgumentsError, TaskError
from wsup.insert import insert_many, insert_one
from wsup.job import Job, Reader
from wsup.options import Order
from wsup.signature import Signature
from wsup.sql.connect import NO_SCHEMA, explain
from wsup.sql.pool import Pool
from wsup.sql.steps import Request, Rows, Steps, Wait, adrive, aperform, drive, perform
from wsup.timing import with_moments
from wsup.unique import Call, insert_unique, key_of

P = ParamSpec("P")
R = TypeVar("R")

Connection: TypeAlias = psycopg.Connection[Any] | psycopg.AsyncConnection[Any]

#: Jobs checked at a time: enough to make a call cheap, little enough to let an event loop have its
#: turn every few milliseconds.
CHUNK: Final = 2000


class Args(Generic[P]):
    """The arguments of one job, made by `task.args(...)`, so that a type checker sees them."""

    __slots__ = ("args", "kwargs")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.args = args
        self.kwargs = kwargs


#: What `enqueue_many` takes for one job: `task.args(...)`, a dict of arguments by name, or a tuple.
Item: TypeAlias = Args[P] | Mapping[str, object] | tuple[object, ...]


@dataclass(slots=True)
class Client:
    """What all tasks of an app share."""

    pool: Pool
    #: How large the arguments of a job may be, in bytes of JSON.
    max_args: int


class Enqueuer(Generic[P, R]):
    """Enqueues jobs of one task, with the options that it was made with."""

    def __init__(
        self,
        signature: Signature,
        order: Order,
        client: Client,
        connection: Connection | None = None,
    ) -> None:
        self._signature = signature
        self._order = order
        self._client = client
        self._connection = connection
        self._reader: Reader[R] = Reader(
            client.pool, signature.load_result, connection is not None, self._dump
        )

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Enqueue one job.

        Raises ArgumentsError, TaskError for an `expires` or `deadline` before its start, JobExists
        for a unique key that another job has (on_conflict="raise"), DatabaseError, ConnectionLost.
        """
        return drive(self._one(args, kwargs), self._door())

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """`enqueue` for asyncio."""
        return await adrive(self._one(args, kwargs), self._adoor())

    def enqueue_many(self, items: Iterable[Item[P]]) -> list[Job[R]]:
        """Enqueue many jobs at once: all of them, or none. Returns them in the same order.

        Raises ArgumentsError naming the item, and whatever `enqueue` raises.
        """
        return drive(self._many(items), self._door())

    async def aenqueue_many(self, items: Iterable[Item[P]]) -> list[Job[R]]:
        """`enqueue_many` for asyncio."""
        return await adrive(self._many(items), self._adoor())

    def args(self, *args: P.args, **kwargs: P.kwargs) -> Args[P]:
        """The arguments of one job, for `enqueue_many`."""
        return Args(args, kwargs)

    def _dump(self, args: Mapping[str, object]) -> bytes:
        return self._signature.dump(args, self._client.max_args)

    def planned(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Order, bytes, Reader[R]]:
        """What a graph must know of one job. Raises ArgumentsError, TaskError."""
        if self._connection is not None:
            raise TaskError(
                f"task {self._order.task}: in a graph, give the connection to app.graph(connection)"
            )
        if self._order.unique_key is not None:
            raise TaskError(f"task {self._order.task}: a job of a graph can't have a unique key")
        return self._order, self._dump(self._signature.bind(args, kwargs)), self._reader

    def _one(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Steps[Job[R]]:
        data = self._dump(self._signature.bind(args, kwargs))
        order = self._order
        key = None if order.unique_key is None else key_of(order, (args, kwargs))
        if order.is_limited:
            order = yield from with_moments(order)
        if order.unique_key is None:
            return Job((yield from insert_one(order, data)), self._reader, "new")
        ((number, made),) = yield from insert_unique(order, [data], [key])
        return Job(number, self._reader, made)

    def _many(self, items: Iterable[Item[P]]) -> Steps[list[Job[R]]]:
        # Everything is checked before anything is sent, so that a mistake in the last item leaves
        # a caller's transaction unharmed.
        order, reader = self._order, self._reader
        if order.unique_key is not None:
            items = list(items)  # they are asked for their keys, too
        values = list(self._by_name(items))
        lines: list[bytes] = []
        for start in range(0, len(values), CHUNK):
            chunk = values[start : start + CHUNK]
            lines += self._signature.dump_many(chunk, self._client.max_args, start)
            yield Wait(0)
        keys = []
        if order.unique_key is not None:
            keys = [_key(order, item, number) for number, item in enumerate(items)]
        if order.is_limited:
            order = yield from with_moments(order)
        if order.unique_key is not None:
            made = yield from insert_unique(order, lines, keys, many=True)
            return [Job(number, reader, how) for number, how in made]
        ids = yield from insert_many(order, lines, copy=not in_pipeline(self._connection))
        return [Job(number, reader, "new") for number in ids]

    def _by_name(self, items: Iterable[Item[P]]) -> Iterator[Mapping[str, object]]:
        bind = self._signature.bind
        for number, item in enumerate(items):
            try:
                if isinstance(item, dict):
                    yield item
                elif isinstance(item, tuple):
                    yield bind(item, {})
                elif isinstance(item, Args):
                    yield bind(item.args, item.kwargs)
                elif isinstance(item, Mapping):
                    yield dict(item)
                else:
                    raise ArgumentsError(
                        f"task {self._order.task}: give task.args(...), a dict or a tuple, not "
                        f"{type(item).__name__}"
                    )
            except ArgumentsError as error:
                raise type(error)(f"item {number}: {error}") from None

    def _door(self) -> Callable[[Request], Rows]:
        return door(self._client, self._connection, f"task {self._order.task}")

    def _adoor(self) -> Callable[[Request], Any]:
        return adoor(self._client, self._connection, f"task {self._order.task}")


def door(client: Client, connection: Connection | None, who: str) -> Callable[[Request], Rows]:
    """Who performs the steps: the app's pool, or a caller's connection. Raises TaskError."""
    if connection is None:
        return client.pool.perform
    if not isinstance(connection, psycopg.Connection):
        raise _wrong(who, connection, "a psycopg.Connection", "aenqueue takes async ones")
    return partial(perform_for_caller, connection)


def adoor(client: Client, connection: Connection | None, who: str) -> Callable[[Request], Any]:
    """`door` for asyncio."""
    if connection is None:
        return client.pool.aperform
    if not isinstance(connection, psycopg.AsyncConnection):
        raise _wrong(who, connection, "a psycopg.AsyncConnection", "enqueue takes others")
    return partial(_aperform_for_caller, connection)


def _wrong(who: str, connection: object, need: str, hint: str) -> TaskError:
    kind = type(connection)
    return TaskError(
        f"{who}: connection={kind.__module__}.{kind.__qualname__} won't do: give {need} ({hint})"
    )


def _key(order: Order, item: Item[Any], number: int) -> str | None:
    """The unique key of an item that is known to fit. Raises ArgumentsError."""
    if isinstance(item, Args):
        call: Call = (item.args, item.kwargs)
    else:
        call = (item, {}) if isinstance(item, tuple) else ((), item)
    try:
        return key_of(order, call)
    except ArgumentsError as error:
        raise type(error)(f"item {number}: {error}") from None


# A caller's connection is the caller's: it is neither committed nor rolled back nor closed, and its
# errors are psycopg's own, as from every other statement in that transaction.


def perform_for_caller(connection: psycopg.Connection[Any], step: Request) -> Rows:
    try:
        return perform(connection, step)
    except NO_SCHEMA as error:
        raise explain(error) from error


async def _aperform_for_caller(connection: psycopg.AsyncConnection[Any], step: Request) -> Rows:
    try:
        return await aperform(connection, step)
    except NO_SCHEMA as error:
        raise explain(error) from error


def in_pipeline(connection: Connection | None) -> bool:
    """PostgreSQL has no COPY within a pipeline."""
    return connection is not None and connection.pgconn.pipeline_status != PipelineStatus.OFF
