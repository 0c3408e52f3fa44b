"""How much is pulled and who gets it: credits, not guesses."""

import time

import pytest

from wsup.sql.answers import Row
from wsup.subworkers.memory import SharedMemory
from wsup.subworkers.wire import TaskInfo
from wsup.supervisor.backlog import Backlog
from wsup.supervisor.member import AHEAD_JOBS, Member, State
from wsup.supervisor.pace import MEAN_SECONDS
from wsup.supervisor.pull import HOPE_SECONDS, RATE_SECONDS, Demand

CONCURRENCY = 10
TASKS = {
    "sync": TaskInfo("sync", "default", False, 0, None),
    "async": TaskInfo("async", "default", True, 0, None),
}


def row(job: int, task: str = "sync") -> Row:
    return (1, job, 1, task, "default", "{}", None)


@pytest.fixture
def members() -> list[Member]:
    made = [
        Member(index, 1, SharedMemory.create(CONCURRENCY + 1, ring_bytes=1 << 20))
        for index in range(4)
    ]
    for member in made:
        member.state = State.READY
    return made


@pytest.fixture
def backlog() -> Backlog:
    made = Backlog(CONCURRENCY)
    made.tasks = TASKS
    return made


def held(members: list[Member]) -> list[int]:
    return [len(member.held) for member in members]


def test_before_anything_is_known_each_gets_one(members: list[Member], backlog: Backlog) -> None:
    backlog.add(row(n) for n in range(10))
    backlog.hand_out(members)
    assert held(members) == [1, 1, 1, 1]
    assert len(backlog) == 6


def test_long_jobs_are_handed_out_singly(members: list[Member], backlog: Backlog) -> None:
    for member in members:
        member.pace.took([0.5])
    backlog.add(row(n) for n in range(10))
    backlog.hand_out(members)
    backlog.hand_out(members)
    assert held(members) == [1, 1, 1, 1]


def test_tiny_jobs_are_handed_out_by_many_but_evenly(
    members: list[Member], backlog: Backlog
) -> None:
    for member in members:
        member.pace.took([0.00001])
    backlog.add(row(n) for n in range(8))
    backlog.hand_out(members)
    assert held(members) == [2, 2, 2, 2]
    backlog.add(row(n) for n in range(100, 2000))
    for member in members:
        member.held.clear()
    backlog.hand_out(members)
    assert held(members) == [AHEAD_JOBS] * 4


def test_async_jobs_fill_up_to_the_concurrency(members: list[Member], backlog: Backlog) -> None:
    backlog.add(row(n, "async") for n in range(100))
    backlog.hand_out(members)
    assert held(members) == [CONCURRENCY] * 4
    backlog.add([row(500)])
    backlog.hand_out(members)
    assert sum(held(members)) == 4 * CONCURRENCY + 1  # a sync job still finds its place


def test_unknown_tasks_are_told(backlog: Backlog) -> None:
    assert backlog.add([row(1), row(2, "nobody")]) == [row(2, "nobody")]


def test_what_comes_back_goes_first(members: list[Member], backlog: Backlog) -> None:
    backlog.add([row(3), row(4)])
    backlog.put_back([row(1), row(2)])
    assert [r[1] for r in backlog.take_all()] == [1, 2, 3, 4]


def test_demand_is_what_the_free_ones_can_take(members: list[Member], backlog: Backlog) -> None:
    demand = Demand(backlog, 500, CONCURRENCY)
    assert demand.wanted(members) == 4
    members[0].held[1] = row(1)
    assert demand.wanted(members) == 3
    backlog.add([row(2), row(3)])
    assert demand.wanted(members) == 1
    assert demand.wanted([]) == 0


def test_demand_is_bounded_by_the_batch(members: list[Member], backlog: Backlog) -> None:
    demand = Demand(backlog, 100, CONCURRENCY)
    for member in members:
        member.pace.took([0.00001])
    assert demand.wanted(members) == 100


def test_starving_means_idle_hands_and_nothing_to_give(
    members: list[Member], backlog: Backlog
) -> None:
    demand = Demand(backlog, 500, CONCURRENCY)
    assert demand.starving(members)
    backlog.add([row(1)])
    assert not demand.starving(members)
    backlog.take_all()
    for number, member in enumerate(members):
        member.held[number] = row(number)
    assert not demand.starving(members)


def test_demand_grows_with_the_rate_and_forgets_it(
    members: list[Member], backlog: Backlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    demand = Demand(backlog, 500, CONCURRENCY)
    now += 0.125
    demand.finished(1000)
    assert demand.wanted(members) == 4 + 160, "0.02 s of work at 8,000 jobs/s"
    now += RATE_SECONDS
    assert demand.wanted(members) == 4


def test_the_mean_of_long_ago_is_no_guess(
    members: list[Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    members[0].pace.took([0.00001])
    assert members[0].room() == AHEAD_JOBS
    now += MEAN_SECONDS
    assert members[0].room() == 1


def test_places_of_async_jobs_count_once_such_jobs_come(
    members: list[Member], backlog: Backlog
) -> None:
    demand = Demand(backlog, 500, CONCURRENCY)
    demand.expect(1.0)
    assert demand.wanted(members) == 4 + 4 * CONCURRENCY
    demand.expect(0.5)
    assert demand.wanted(members) == 4 + 1, "which may be async"
    demand.pulled(0, 20)
    assert demand.wanted(members) == 4 + 4 * CONCURRENCY // 2
    demand.pulled(380, 0)
    assert demand.wanted(members) == 4 + 1, "one in forty may be async"


def test_one_more_is_asked_for_in_the_hope_that_it_is_async(
    members: list[Member], backlog: Backlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    demand = Demand(backlog, 500, CONCURRENCY)
    demand.expect(0.5)
    for number, member in enumerate(members):
        member.held[number] = row(number)
    assert demand.wanted(members) == 1
    backlog.add([row(10)])
    assert demand.wanted(members) == 0
    backlog.take_all()
    demand.gave_back()
    assert demand.wanted(members) == 0
    now += HOPE_SECONDS
    assert demand.wanted(members) == 1


def test_what_goes_on_for_long_is_not_about_to_end(members: list[Member], backlog: Backlog) -> None:
    member = members[0]
    member.pace.took([0.001])
    backlog.add([row(1), row(2), row(3, "async")])
    backlog.hand_out(members[:1])
    assert member.ending() == 3
    member.lasting = 1
    assert member.ending() == 2
    member.stuck = True
    assert member.ending() == 0
