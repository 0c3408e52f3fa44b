"""What a supervisor makes of the server's answers about the time."""

import time
from collections.abc import Iterator

import pytest

from wsup.subworkers.memory import SharedMemory
from wsup.supervisor.clock import ServerClock
from wsup.supervisor.member import Member

#: Seconds since 1970; what is asserted is well above the resolution of a float there.
NOON = 1_800_000_000.0


@pytest.fixture
def member() -> Iterator[Member]:
    memory = SharedMemory.create(2, 4096)
    yield Member(0, 1, memory)
    memory.close()


def ahead(member: Member) -> float:
    """Seconds by which the server's clock is ahead of NOON when the monotonic one is at 0."""
    now = member.memory.board.server_time()
    assert now is not None
    return now - time.monotonic() - NOON


def test_nothing_is_known_at_first(member: Member) -> None:
    ServerClock(list).show(member)
    assert member.memory.board.server_time() is None


def test_a_subworker_that_comes_later_is_told(member: Member) -> None:
    clock = ServerClock(list)
    clock.tell(NOON + 10, 10.0, 10.0)
    clock.show(member)
    assert ahead(member) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("server", "asked", "heard", "expected"),
    [
        (20, 20, 20, 0),  # as before
        (23, 20, 25, 0),  # a slow answer: it may have been so all the while
        (20.5, 20, 20.1, 0.4),  # faster than was thought: at least so much ahead
        (3620, 20, 20, 3600),  # it was set forward
        (-3580, 20, 20, -3600),  # … and back
    ],
)
def test_what_fits_is_kept(
    server: float, asked: float, heard: float, expected: float, member: Member
) -> None:
    clock = ServerClock(lambda: [member])
    clock.tell(NOON + 10, 10.0, 10.0)
    clock.tell(NOON + server, asked, heard)
    assert ahead(member) == pytest.approx(expected, abs=0.01)
