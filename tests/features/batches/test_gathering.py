"""How many jobs are pulled for a batch, and when it stands in line."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from wsup.sql.answers import Row
from wsup.subworkers.memory import SharedMemory
from wsup.subworkers.wire import TaskInfo
from wsup.supervisor import surplus as surplus_module
from wsup.supervisor.backlog import Backlog
from wsup.supervisor.member import Member, State
from wsup.supervisor.pull import Demand
from wsup.supervisor.watch import Watch

TASKS = {
    "single": TaskInfo("single", "default", False, 0, None),
    "now": TaskInfo("now", "default", False, 0, None, batch=10, batch_wait=0.0),
    "later": TaskInfo("later", "default", False, 0, None, batch=10, batch_wait=60.0),
    "soon": TaskInfo("soon", "default", False, 0, None, batch=10, batch_wait=0.01),
    "async": TaskInfo("async", "default", True, 0, None, batch=10, batch_wait=0.0),
}


def rows(first: int, n: int, task: str) -> list[Row]:
    return [(1, job, 1, task, "default", "{}", None) for job in range(first, first + n)]


def jobs(found: list[Row]) -> list[int]:
    return [row[1] for row in found]


@pytest.fixture
def members() -> list[Member]:
    made = [Member(i, 1, SharedMemory.create(3, ring_bytes=1 << 20)) for i in range(2)]
    for member in made:
        member.state = State.READY
    return made


@pytest.fixture
def backlog() -> Backlog:
    made = Backlog(concurrency=2)
    made.tasks = TASKS
    return made


def in_loop(work: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await work()

    asyncio.run(run())


def test_a_pull_asks_for_what_is_missing(members: list[Member], backlog: Backlog) -> None:
    demand = Demand(backlog, 2000, concurrency=2)

    async def work() -> None:
        assert demand.wanted(members) == 2
        backlog.add(rows(1, 2, "later"))
        assert demand.wanted(members) == 2 + 8
        # Half of what comes is of another kind, and takes the room: no more than that is expected.
        backlog.add([*rows(3, 1, "single"), *rows(4, 1, "later")])
        assert demand.wanted(members) == 1 + 7 // 2
        assert demand.starving(members) is False
        backlog.hand_out(members)
        assert demand.starving(members) is True  # what is gathered is no work yet
        backlog.add(rows(5, 7, "later"))
        assert (backlog.calls, len(backlog)) == (1, 10)
        assert demand.wanted(members) == 0

    in_loop(work)


def test_a_batch_is_one_call(members: list[Member], backlog: Backlog) -> None:
    backlog.add(rows(1, 25, "now"))
    assert (backlog.calls, len(backlog)) == (3, 25)
    backlog.hand_out(members)
    assert sorted(len(member.held) for member in members) == [10, 10]
    assert [member.room() for member in members] == [0, 0]
    backlog.add(rows(26, 3, "now"))  # it grows as long as it is not handed out
    assert (backlog.calls, len(backlog)) == (1, 8)
    first = members[0]
    ends = [first.release(job) for job in list(first.held)]
    assert ends == [None] * 9 + [True]
    assert first.room() == 1
    backlog.hand_out(members)
    assert (len(first.held), len(backlog)) == (8, 0)


def test_an_async_call_takes_one_place(members: list[Member], backlog: Backlog) -> None:
    backlog.add(rows(1, 40, "async"))
    backlog.hand_out(members)
    assert [member.room_async(2) for member in members] == [1, 1]
    assert [member.sync_calls for member in members] == [0, 0]
    backlog.hand_out(members)
    assert [member.room_async(2) for member in members] == [0, 0]
    for job in list(members[0].held):
        assert not members[0].release(job)
    assert members[0].room_async(2) == 2


def test_what_comes_back_waits_no_more(members: list[Member], backlog: Backlog) -> None:
    async def work() -> None:
        backlog.add(rows(1, 12, "later"))
        assert (backlog.calls, len(backlog)) == (1, 12)
        backlog.hand_out(members)
        back = list(members[0].held.values()) or list(members[1].held.values())
        assert backlog.put_back(back[:5]) == []
        assert (backlog.calls, len(backlog)) == (1, 7)
        assert jobs(backlog.take_all()) == [1, 2, 3, 4, 5, 11, 12]
        assert (backlog.calls, len(backlog)) == (0, 0)
        # Others that are put back, or dropped, change nothing.
        backlog.add(rows(1, 3, "later"))
        backlog.put_back(rows(9, 1, "single"), lambda here: here[1:])
        assert (backlog.calls, jobs(list(backlog.claims()))) == (1, [9, 2, 3])

    in_loop(work)


def test_time_is_up(members: list[Member]) -> None:
    async def work() -> None:
        due = asyncio.Event()
        backlog = Backlog(2, due.set)
        backlog.tasks = TASKS
        backlog.add(rows(1, 3, "soon"))
        assert backlog.calls == 0
        await asyncio.wait_for(due.wait(), 10)
        assert backlog.calls == 1
        due.clear()
        backlog.add(rows(4, 10, "soon"))  # 7 fill the first one
        assert (backlog.calls, len(backlog)) == (1, 13)
        backlog.take_all()
        await asyncio.sleep(0.02)  # nothing rings for what is gone
        assert not due.is_set()

    in_loop(work)


def test_what_is_gathered_is_no_surplus(backlog: Backlog, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in line and does not get on is given back to other hosts."""
    monkeypatch.setattr(surplus_module, "PACE_SECONDS", -1.0)
    given_back: list[int] = []

    async def work() -> None:
        watch = Watch(
            backlog.lines,
            read=lambda member: None,
            look=lambda member, running: None,
            on_surplus=lambda line, calls: given_back.append(calls),
            stubborn=lambda *about: set(),
        )
        backlog.add(rows(1, 3, "later"))
        watch.look([])
        watch.look([])
        assert given_back == []
        backlog.add(rows(4, 1, "single"))
        watch.look([])
        assert given_back == [1]

    in_loop(work)
