"""A doubt arises when the clock has jumped, and is settled by what was asked since."""

from types import SimpleNamespace

import pytest

from wsup.supervisor import lapse
from wsup.supervisor.lapse import Lapse
from wsup.supervisor.liveness import FREE_SECONDS


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(lapse, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_a_jump_of_the_clock_is_a_doubt(clock: SimpleNamespace) -> None:
    watched = Lapse()
    for _ in range(10):
        clock.now += FREE_SECONDS / 2
        assert not watched.look()
    clock.now += FREE_SECONDS * 1.1
    assert watched.look()
    assert watched.look()
    watched.settle(watched.count)
    assert not watched.look()


def test_an_answer_from_before_settles_nothing(clock: SimpleNamespace) -> None:
    watched = Lapse()
    asked_at = watched.count
    clock.now += FREE_SECONDS * 1.1
    watched.look()
    watched.settle(asked_at)
    assert watched.look()


def test_an_answer_that_comes_before_the_clock_is_looked_at_settles_nothing(
    clock: SimpleNamespace,
) -> None:
    watched = Lapse()
    asked_at = watched.count
    clock.now += FREE_SECONDS * 1.1
    watched.settle(asked_at)
    assert watched.look()


def test_each_doubt_is_told(clock: SimpleNamespace) -> None:
    told = []
    watched = Lapse()
    watched.on_doubt = lambda: told.append(watched.count)
    for _ in range(2):
        clock.now += FREE_SECONDS * 1.1
        watched.look()
    assert told == [1, 2]
