"""Families of jobs on real supervisors: their order, their results, and deaths in between."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import family
import psycopg
import pytest
from kin import NOTHING, reason, remains
from running import Supervisor, all_over, finished, runs, sleepers, until

from wsup import App

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]


@pytest.fixture
def app(database: str) -> Iterator[App]:
    """That of the supervisors, to enqueue with."""
    family.app.database = database
    yield family.app
    family.app.close()


@pytest.fixture
def start(make_supervisor: MakeSupervisor, app: App) -> MakeSupervisor:
    return lambda *flags: make_supervisor("--subworkers", "2", *flags, app="family:app").start()


def test_a_chain_goes_on_without_waiting_for_a_clock(
    start: MakeSupervisor, app: App, connection: Connection
) -> None:
    """A link a turn: 100 of them in less time than ten looks by the clock would take."""
    start()
    graph = app.graph()
    link = graph.add(family.stamp)
    links = [link]
    for _ in range(99):
        links.append(graph.add(family.stamp.options(after=links[-1])))
    graph.enqueue()
    stamps = [link.job.result(timeout=20) for link in links]
    assert all(one[1] <= next_[0] for one, next_ in pairwise(stamps))
    seconds = stamps[-1][1] - stamps[0][0]
    print(f"a link takes {seconds * 10:.1f} ms")
    assert seconds < 1.0 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert remains(connection) == NOTHING


def test_a_child_that_comes_late_wakes_who_sleeps(
    start: MakeSupervisor, app: App, connection: Connection, database: str
) -> None:
    """Its parent was cancelled, and nobody else has anything to do."""
    start("--poll", "60")
    until(lambda: sleepers(connection))
    assert family.give.enqueue(1).result(timeout=20) == 1
    parent = family.give.options(delay=3600).enqueue(1)
    with psycopg.connect(database) as writer:
        late = family.seen.options(after=parent, connection=writer).enqueue()
        assert parent.cancel() == "cancelled"
    assert finished(connection, late.id, patience=10) == ["cancelled"]


def test_a_child_that_comes_late_is_seen_by_who_falls_asleep(
    start: MakeSupervisor, app: App, connection: Connection, database: str
) -> None:
    """Its parent has ended while nobody could see it."""
    start("--poll", "60")
    until(lambda: sleepers(connection))
    parent = family.give.options(delay=0.2).enqueue(1)
    with psycopg.connect(database) as writer:
        late = family.seen.options(after=parent, connection=writer).enqueue()
        assert parent.result(timeout=20) == 1
        until(lambda: sleepers(connection))
    assert late.result(timeout=10) == [[parent.id, "succeeded", 1]]
    until(lambda: remains(connection) == NOTHING)


@pytest.mark.parametrize("task", ["seen", "seen_async"])
def test_parents_and_their_results(start: MakeSupervisor, app: App, task: str) -> None:
    start()
    values: list[Any] = [{"a": [1, "zwei", None]}, None, "\u0000", 1e300]
    given = [family.give.enqueue(value) for value in values]
    bad = family.fail.enqueue()
    order = [given[2], bad, given[0], given[3], given[1]]
    child = app.tasks[task].options(after=[order[0]], after_lax=order[1:], timeout=30).enqueue()
    assert child.result(timeout=20) == [
        [given[2].id, "succeeded", "\u0000"],
        [bad.id, "failed", None],
        [given[0].id, "succeeded", values[0]],
        [given[3].id, "succeeded", 1e300],
        [given[1].id, "succeeded", None],
    ]


def test_parents_of_a_second_attempt_and_of_none(start: MakeSupervisor, app: App) -> None:
    start()
    parent = family.give.enqueue("x")
    child = family.seen.options(after=parent).enqueue(again=True)
    assert child.result(timeout=20) == [[parent.id, "succeeded", "x"]]
    assert family.seen.enqueue().result(timeout=20) == []


def test_results_that_are_too_large_are_read_by_who_needs_them(
    start: MakeSupervisor, app: App
) -> None:
    """Whether they are small as they are stored, or not; up to the limit they come."""
    start()
    blank, noise = "x" * 300_000, random.Random(1).randbytes(200_000).hex()
    jobs = [family.give.enqueue(value) for value in (blank, noise, "x" * 262_142)]
    for parent in jobs[:2]:
        (said,) = family.too_large.options(after=parent).enqueue().result(timeout=20)
        assert said.endswith(f"ask for this one by app.job({parent.id}).result(timeout=0)")
    (said,) = family.too_large.options(after=jobs[2]).enqueue().result(timeout=20)
    assert said == "x" * 262_142


def test_a_failure_ends_the_whole_branch(
    start: MakeSupervisor, app: App, connection: Connection
) -> None:
    start()
    graph = app.graph()
    bad = graph.add(family.fail)
    good = graph.add(family.give, 1)
    child = graph.add(family.seen.options(after=[bad, good]))
    grandchild = graph.add(family.seen.options(after=child))
    lax = graph.add(family.seen.options(after_lax=grandchild))
    graph.enqueue()
    assert lax.job.result(timeout=20) == [[grandchild.id, "cancelled", None]]
    assert finished(connection, child.id, grandchild.id) == ["cancelled", "cancelled"]
    assert reason(connection, child.id) == f"its parent, job {bad.id}, has failed"


def test_out_and_in_again(start: MakeSupervisor, app: App, connection: Connection) -> None:
    """One, then a thousand, then one, on two supervisors."""
    start()
    start()
    graph = app.graph()
    first = graph.add(family.give, 1)
    middle = [graph.add(family.give.options(after=first), n) for n in range(1000)]
    last = graph.add(family.seen.options(after=middle))
    graph.enqueue()
    found = last.job.result(timeout=30)
    assert [row[2] for row in found] == list(range(1000))
    until(lambda: remains(connection) == NOTHING)


def test_cancelling_a_parent_by_hand(
    start: MakeSupervisor, app: App, connection: Connection
) -> None:
    start()
    parent = family.give.options(delay=3600).enqueue(1)
    child = family.seen.options(after=parent).enqueue()
    until(lambda: sleepers(connection))
    assert parent.cancel() == "cancelled"
    assert finished(connection, child.id) == ["cancelled"]


def test_no_order_is_broken_and_no_job_lost_whatever_dies(
    start: MakeSupervisor, app: App, connection: Connection, tmp_path: Path
) -> None:
    """A random graph, partly enqueued while it runs, on three supervisors that are killed."""
    hosts = [start() for _ in range(3)]
    chance = random.Random(7)
    ledger = tmp_path / "ledger"
    parents: dict[int, list[int]] = {}
    for round_ in range(6):
        graph = app.graph()
        nodes: list[Any] = []
        known = list(parents)
        for _ in range(60):
            pool = [*known[-40:], *nodes[-40:]]
            after = chance.sample(pool, min(len(pool), chance.randint(0, 4)))
            nodes.append(graph.add(family.step.options(after=after), str(ledger), 1.0))
        graph.enqueue()
        for node in nodes:
            row = connection.execute("SELECT after FROM wsup.job WHERE id = %s", [node.id])
            parents[node.id] = (row.fetchone() or [None])[0] or []
        victim = hosts[round_ % 3]
        if round_ % 2:
            victim.kill()
            victim.start()
        else:
            os.kill(chance.choice(victim.subworker_pids()), signal.SIGKILL)
    assert all_over(connection, list(parents)) == {"succeeded": len(parents)}
    assert runs(ledger).keys() == parents.keys()
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for number, line in enumerate(ledger.read_text().splitlines()):
        job = int(line.split()[0])
        first.setdefault(job, number)
        last[job] = number
    assert [(job, p) for job, some in parents.items() for p in some if last[p] > first[job]] == []
    until(lambda: remains(connection) == NOTHING)
