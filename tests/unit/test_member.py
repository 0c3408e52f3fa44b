"""A subworker as its supervisor knows it, before there is a process."""

from wsup.subworkers.memory import SharedMemory
from wsup.supervisor.member import LIFE_JITTER, Member


def test_not_all_lives_are_equally_long() -> None:
    """Or all subworkers that were started together would be recycled one right after the other."""
    memory = SharedMemory.create(1, 65_536)
    try:
        shares = [Member(0, 1, memory).share for _ in range(500)]
    finally:
        memory.close()
    assert 1 - LIFE_JITTER <= min(shares) < 1 - 0.9 * LIFE_JITTER
    assert 1 - 0.1 * LIFE_JITTER < max(shares) <= 1
