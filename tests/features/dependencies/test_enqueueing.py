"""The doors: options, graphs, the command line. No supervisor runs."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from kin import NOTHING, claimed, remains, status, succeed
from road import failed, fill, settle
from shell import Wsup, complaint, shown

from wsup import App, Node
from wsup.errors import DatabaseError, TaskError

Connection = psycopg.Connection[Any]
Enqueue = Callable[..., int]


@pytest.fixture
def step(app: App) -> Any:
    @app.task(name="step")
    def step(n: int = 0) -> int:
        return n

    return step


def after(connection: Connection, job: int) -> tuple[list[int] | None, list[int] | None]:
    row = connection.execute(
        "SELECT after, after_lax FROM wsup.job WHERE id = %s", [job]
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def test_options(step: Any, connection: Connection) -> None:
    """Jobs, ids, one or many, each once."""
    first, second, third = (step.enqueue() for _ in range(3))
    one = step.options(after=first).enqueue()
    many = step.options(after=[second, first.id, second], after_lax=third).enqueue()
    run = step.options(after=(first, second), on_parent_failure="run").enqueue()
    assert after(connection, one.id) == ([first.id], None)
    assert after(connection, many.id) == ([second.id, first.id, third.id], [third.id])
    assert after(connection, run.id) == ([first.id, second.id], [first.id, second.id])
    assert [job.status() for job in (first, one, many, run)] == ["ready", *["blocked"] * 3]
    assert step.options(after=[]).enqueue().status() == "ready"


@pytest.mark.parametrize("n", [1, 50, 500])
def test_many_children_at_once(step: Any, database: str, connection: Connection, n: int) -> None:
    parent, other = step.enqueue(), step.enqueue()
    jobs = step.options(after=parent, after_lax=other).enqueue_many([(i,) for i in range(n)])
    assert {status(connection, job.id)[0] for job in jobs} == {"blocked"}
    rows = claimed(connection, parent.id, other.id)
    settle(database, failed(rows[1]))
    connection.execute("SELECT wsup.rescue(1, 5)")
    succeed(database, connection, parent.id)
    assert {status(connection, job.id)[0] for job in jobs} == {"ready"}


def test_asyncio(step: Any, connection: Connection) -> None:
    async def enqueue() -> tuple[Any, Any]:
        parent = await step.aenqueue()
        return parent, await step.options(after=parent).aenqueue()

    parent, job = asyncio.run(enqueue())
    assert after(connection, job.id) == ([parent.id], None)


def test_parents_in_the_callers_transaction(
    step: Any, database: str, connection: Connection
) -> None:
    with psycopg.connect(database) as caller:
        parent = step.options(connection=caller).enqueue()
        job = step.options(connection=caller, after=parent).enqueue()
        # Nobody else sees it yet.
        with pytest.raises(DatabaseError, match=f"there is no job {parent.id} to wait for"):
            step.options(after=parent).enqueue()
    assert job.status() == "blocked"


def test_refusals(step: Any, app: App, connection: Connection) -> None:
    for value in ("7", 0, -1, True, 1.5, None, b"7", 2**63):
        with pytest.raises(TaskError, match=r"task step: after=.* won't do: give jobs, their ids"):
            step.options(after=[value])
    with pytest.raises(TaskError, match="task step: 7 is in after and in after_lax: leave one out"):
        step.options(after=7, after_lax=[7])
    with pytest.raises(TaskError, match="on_parent_failure='ask' won't do: give 'cancel' or 'run'"):
        step.options(after=7, on_parent_failure="ask")
    for enqueue in (
        step.options(after=7).enqueue,
        lambda: step.options(after=7).enqueue_many([()]),
    ):
        with pytest.raises(DatabaseError, match="there is no job 7 to wait for: it never was, or"):
            enqueue()
    with pytest.raises(DatabaseError, match="there is no job 9999 to wait for"):
        step.options(after=9999).enqueue_many([()] * 200)
    assert connection.execute("SELECT count(*) FROM wsup.job").fetchone() == (0,)


# graphs -----------------------------------------------------------------------------------------


def test_a_graph_of_10000_in_one_call(step: Any, app: App, connection: Connection) -> None:
    """Whatever the order of its nodes; nothing is left that a supervisor would have to look at."""
    graph = app.graph()
    last = graph.add(step, 10_000)
    middle = [graph.add(step, n) for n in range(9_998)]
    first = graph.add(step.options(priority=5))
    last.wait_for(middle)
    for node in middle:
        node.wait_for(first)
    jobs = graph.enqueue()
    assert [job.id for job in jobs] == [last.id, *(node.id for node in middle), first.id]
    assert remains(connection) == (9_999, 19_996, 0)
    assert status(connection, first.id, middle[7].id, last.id) == ["ready", "blocked", "blocked"]
    args = "SELECT args->>'n', priority FROM wsup.job WHERE id = %s"
    assert connection.execute(args, [middle[7].id]).fetchone() == ("7", 0)
    assert connection.execute(args, [first.id]).fetchone() == (None, 5)
    assert after(connection, middle[7].id) == ([first.id], None)


def test_a_graph_grows_on_what_there_is(step: Any, app: App, connection: Connection) -> None:
    job = step.enqueue()
    one = app.graph()
    a = one.add(step.options(after=job))
    b = one.add(step.options(after=[a, job.id], delay=60), 1)
    b.wait_for(a)
    with pytest.raises(TaskError, match=r"node 0 \(step\): its graph is not enqueued yet"):
        step.options(after=a).enqueue()
    other = app.graph()
    other.add(step.options(after_lax=b))
    with pytest.raises(TaskError, match=r"node 1 \(step\): its graph is not enqueued yet"):
        other.enqueue()
    one.enqueue()
    (last,) = asyncio.run(other.aenqueue())
    assert after(connection, b.id) == ([a.id, job.id], None)
    assert after(connection, last.id) == ([b.id], [b.id])
    assert a.job.status() == "blocked"
    assert step.options(after=a).enqueue().status() == "blocked"
    due = "SELECT run_at - enqueued_at BETWEEN '55 s' AND '65 s' FROM wsup.job WHERE id = %s"
    assert connection.execute(due, [b.id]).fetchone() == (True,)


def test_a_graph_in_the_callers_transaction(step: Any, app: App, database: str) -> None:
    with psycopg.connect(database) as caller:
        graph = app.graph(caller)
        node: Node[int] = graph.add(step)
        graph.add(step.options(after=node))
        jobs = graph.enqueue()
        caller.rollback()
    with psycopg.connect(database) as other:
        assert other.execute("SELECT count(*) FROM wsup.job").fetchone() == (0,)
    assert len(jobs) == len(graph) == 2
    with pytest.raises(TaskError, match=r"connection=psycopg\.Connection won't do: give a"):
        asyncio.run(app.graph(caller).aenqueue())


def test_a_cycle_is_named_before_anything_is_sent(
    step: Any, app: App, connection: Connection
) -> None:
    graph = app.graph()
    a, b, c, d = (graph.add(step) for _ in range(4))
    for parent, node in ((a, b), (b, c), (c, b), (c, d)):
        node.wait_for(parent)
    names = r"node 1 \(step\) → node 2 \(step\) → node 1 \(step\)"
    with pytest.raises(TaskError, match=f"graph: a cycle, .*: ({names}|node 2.*node 2)"):
        graph.enqueue()
    alone = app.graph()
    node = alone.add(step)
    node.wait_for(node)
    with pytest.raises(TaskError, match=r": node 0 \(step\) → node 0 \(step\)$"):
        alone.enqueue()
    assert connection.execute("SELECT count(*) FROM wsup.job").fetchone() == (0,)


def test_mistakes_with_graphs(step: Any, app: App, connection: Connection) -> None:
    graph = app.graph()
    assert graph.enqueue() == []
    with pytest.raises(TaskError, match=r"give the connection to app\.graph\(connection\)"):
        graph.add(step.options(connection=connection))
    node, other = graph.add(step), graph.add(step)
    other.wait_for(node)
    with pytest.raises(TaskError, match="is in after and in after_lax"):
        other.wait_for(node, lax=True)
    with connection.pipeline(), pytest.raises(TaskError, match="no COPY within a pipeline"):
        app.graph(connection).enqueue()
    graph.enqueue()
    with pytest.raises(TaskError, match="graph: it was enqueued already"):
        graph.enqueue()
    with pytest.raises(TaskError, match="its graph is enqueued, it can't wait for more"):
        node.wait_for(other)
    lone = app.graph()
    lone.add(step.options(after=999))
    with pytest.raises(DatabaseError, match="there is no job 999 to wait for"):
        lone.enqueue()


# the command line -------------------------------------------------------------------------------


def test_the_command_line(wsup: Wsup, enqueue: Enqueue, connection: Connection) -> None:
    first, second = fill(connection, 2)
    job = enqueue("step", "--after", first, "--after-lax", second)
    other = enqueue("step", "--after", first, "--after", second, "--on-parent-failure", "run")
    assert after(connection, job) == ([first, second], [second])
    assert after(connection, other) == ([first, second], [first, second])
    found = shown(job)
    assert (found["state"], found["parents"], found["waits_for"]) == (
        "blocked",
        [first, second],
        [first, second],
    )
    assert shown(first)["awaited_by"] == [job, other]
    assert f"waits for    [{first}, {second}]" in wsup("jobs", "show", job).stdout
    listed = json.loads(wsup("jobs", "list", "--state", "blocked", "--json").stdout)
    assert [row["id"] for row in listed] == [other, job]
    assert [row["id"] for row in json.loads(wsup("jobs", "list", "--json").stdout)] == [
        other, job, second, first,
    ]  # fmt: skip
    result = wsup("jobs", "cancel", "--task", "step", "--state", "blocked", "--json")
    assert json.loads(result.stdout) == {"cancelled": 2}
    again = wsup("jobs", "retry", job)
    assert (again.exit_code, again.stdout.split()[-1]) == (0, "blocked")


def test_the_command_line_refuses(wsup: Wsup, connection: Connection) -> None:
    assert complaint("enqueue", "step", "--after", 7) == (
        "wsup: enqueue 'step': there is no job 7 to wait for: it never was, or has been removed\n"
    )
    (job,) = fill(connection, 1)
    assert "leave one of them out" in complaint(
        "enqueue", "step", "--after", job, "--after-lax", job
    )
    assert remains(connection) == NOTHING


def test_unique_jobs_have_no_parents(step: Any, app: App, connection: Connection) -> None:
    (parent,) = fill(connection, 1)
    with pytest.raises(TaskError, match="a job with a unique key can't wait for others"):
        step.options(after=parent, unique_key="one")
    with pytest.raises(TaskError, match="a job of a graph can't have a unique key"):
        app.graph().add(step.options(unique_key="one"))
    query = "SELECT wsup.enqueue('step', unique_key => 'one', after => %s)"
    with pytest.raises(psycopg.DataError, match="a job with a unique key can't wait for others"):
        connection.execute(query, [[parent]])


def test_limits_of_time_in_a_graph(step: Any, app: App, connection: Connection) -> None:
    graph = app.graph()
    first = graph.add(step.options(expires=60))
    child = graph.add(step.options(after=first, expires=60, retries=2))
    graph.enqueue()
    query = (
        "SELECT (options->>'expires_at')::timestamptz > now(), options->>'retries' FROM wsup.job"
    )
    rows = connection.execute(f"{query} WHERE id = ANY (%s) ORDER BY id", [[first.id, child.id]])
    assert rows.fetchall() == [(True, None), (True, "2")]
