"""Many jobs, some of which wait for others, enqueued in one call.

graph = app.graph()
pages = [graph.add(fetch, url) for url in urls]
graph.add(report.options(after=pages), "monday")
graph.enqueue()
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Generic, ParamSpec, TypeVar

from wsup.enqueue import Client, Connection, Enqueuer, adoor, door, in_pipeline
from wsup.errors import TaskError
from wsup.insert import CHUNK, gates_of, rest
from wsup.job import Job, Reader
from wsup.options import Order
from wsup.parents import Parent, Parents, as_parents, both, numbers
from wsup.sql.steps import Ask, Load, Steps, Wait, adrive, drive
from wsup.timing import with_moments

P = ParamSpec("P")
R = TypeVar("R")


class Node(Generic[R]):
    """A job of a graph: others can wait for it before it has an id."""

    __slots__ = ("_data", "_job", "_label", "_order", "_reader")

    def __init__(self, label: str, order: Order, data: bytes, reader: Reader[R]) -> None:
        self._label = label
        self._order = order
        self._data = data
        self._reader = reader
        self._job: Job[R] | None = None

    @property
    def job(self) -> Job[R]:
        """The job. Raises TaskError until the graph is enqueued."""
        if self._job is None:
            raise TaskError(f"{self._label}: its graph is not enqueued yet, so it has no id")
        return self._job

    @property
    def id(self) -> int:
        """The job's id. Raises TaskError until the graph is enqueued."""
        return self.job.id

    def wait_for(self, parents: Parents, *, lax: bool = False) -> None:
        """Have it wait for these, too: to succeed, or with `lax` to end in whatever way.

        Raises TaskError, also if the graph is enqueued already.
        """
        if self._job is not None:
            raise TaskError(f"{self._label}: its graph is enqueued, it can't wait for more")
        order = self._order
        more = as_parents(order.task, "parents", parents)
        strict = [parent for parent in order.after if parent not in set(order.after_lax)]
        after = [*dict.fromkeys((*strict, *(() if lax else more)))]
        lax_ones = [*dict.fromkeys((*order.after_lax, *(more if lax else ())))]
        everything, some = both(order.task, after, lax_ones, "cancel")
        self._order = replace(order, after=everything, after_lax=some)

    def __repr__(self) -> str:
        return self._label


AnyNode = Node[Any]


class Graph:
    """Jobs that are enqueued together, all or none."""

    def __init__(self, client: Client, connection: Connection | None) -> None:
        self._client = client
        self._connection = connection
        self._nodes: list[AnyNode] = []
        self._enqueued = False

    def __len__(self) -> int:
        return len(self._nodes)

    def add(self, task: Enqueuer[P, R], *args: P.args, **kwargs: P.kwargs) -> Node[R]:
        """One more job: of a task, or of `task.options(after=[node, …])`.

        Raises ArgumentsError, TaskError.
        """
        order, data, reader = task.planned(args, kwargs)
        # Where the jobs are is known to nobody else before a caller's transaction is committed.
        reader = replace(reader, pending=self._connection is not None)
        node = Node(f"node {len(self._nodes)} ({order.task})", order, data, reader)
        self._nodes.append(node)
        return node

    def enqueue(self) -> list[Job[Any]]:
        """Enqueue all of them. Returns their jobs in the order in which they were added.

        Raises TaskError for a cycle, naming it, or for a node of another graph that is not enqueued
        yet; DatabaseError, ConnectionLost.
        """
        return drive(self._all(), door(self._client, self._connection, "graph"))

    async def aenqueue(self) -> list[Job[Any]]:
        """`enqueue` for asyncio."""
        return await adrive(self._all(), adoor(self._client, self._connection, "graph"))

    def _all(self) -> Steps[list[Job[Any]]]:
        if self._enqueued:
            raise TaskError("graph: it was enqueued already")
        if in_pipeline(self._connection):
            raise TaskError("graph: PostgreSQL has no COPY within a pipeline: enqueue it outside")
        nodes = ordered(self._nodes)
        if not nodes:
            return []
        yield Wait(0)
        yield from _limited(nodes)
        rows = yield Ask("reserve_ids", (None, 0.0, len(nodes)))
        reserved, now = rows[0]
        # A parent's id is smaller than its children's.
        ids: dict[Parent, int] = dict(zip(nodes, sorted(reserved), strict=True))
        yield Load("copy_jobs_gated", _rows(nodes, ids, datetime.fromisoformat(now)))
        for node in nodes:
            node._job = Job(ids[node], node._reader, "new")
        self._enqueued = True
        return [node.job for node in self._nodes]


def _limited(nodes: Sequence[AnyNode]) -> Steps[None]:
    """Write the limits of time, where there are any, into the orders."""
    known: dict[Order, str | None] = {}
    for node in nodes:
        if node._order.is_limited:
            order = replace(node._order, after=(), after_lax=())
            if order not in known:
                known[order] = (yield from with_moments(order)).options
            node._order = replace(node._order, options=known[order])


def _rows(nodes: Sequence[AnyNode], ids: dict[Parent, int], now: datetime) -> Iterator[bytes]:
    """The rows of `copy_jobs_gated.sql`, some at a time."""
    lines: list[bytes] = []
    for node in nodes:
        order = node._order
        at = order.run_at if order.delay is None else now + timedelta(seconds=order.delay)
        after, lax = (
            [ids.get(parent, parent) for parent in some] for some in (order.after, order.after_lax)
        )
        gates = gates_of(order, after, lax)
        values = rest(order, at.isoformat() if at else "", gates).encode()
        lines.append(b"%d\t%b%b\n" % (ids[node], node._data, values))
        if len(lines) == CHUNK:
            yield b"".join(lines).replace(b"\\", rb"\\")
            lines.clear()
    yield b"".join(lines).replace(b"\\", rb"\\")


def ordered(nodes: Sequence[AnyNode]) -> list[AnyNode]:
    """Parents before children, else as they were added. Raises TaskError for a cycle, naming it,
    and for parents that have no id and are not among the nodes."""
    place = {node: number for number, node in enumerate(nodes)}
    children: dict[AnyNode, list[AnyNode]] = {}
    left: dict[AnyNode, int] = {}
    for node in nodes:
        inside = [parent for parent in node._order.after if parent in place]
        numbers(parent for parent in node._order.after if parent not in place)
        left[node] = len(inside)
        for parent in inside:
            children.setdefault(parent, []).append(node)
    free = [place[node] for node in nodes if not left[node]]
    found: list[AnyNode] = []
    while free:
        node = nodes[heapq.heappop(free)]
        found.append(node)
        for child in children.get(node, ()):
            left[child] -= 1
            if not left[child]:
                heapq.heappush(free, place[child])
    if len(found) < len(nodes):
        raise TaskError(f"graph: a cycle, in which each waits for the one before: {_cycle(left)}")
    return found


def _cycle(left: dict[AnyNode, int]) -> str:
    """The names along a cycle, given how many parents each node still waits for."""
    node = next(node for node, count in left.items() if count)
    path: dict[AnyNode, None] = {}
    while node not in path:
        path[node] = None
        node = next(p for p in node._order.after if isinstance(p, Node) and left.get(p))
    names = [*map(str, path)]
    around = names[names.index(str(node)) :]
    return " → ".join([str(node), *reversed(around)])
