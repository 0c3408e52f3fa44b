"""What waits in line for longer than it need is given back; what will soon be begun is kept."""

import time

import pytest

from wsup.supervisor.backlog import Line
from wsup.supervisor.surplus import PACE_SECONDS, Surplus


@pytest.fixture
def line() -> Line:
    made = Line()
    made.extend((1, job, 1, "task", "default", "{}", None) for job in range(100))
    return made


def hand_out(line: Line, calls: int) -> None:
    for _ in range(calls):
        line.popleft()
    line.handed += calls


@pytest.mark.parametrize(("handed", "surplus"), [(0, 100), (1, 98), (33, 34), (34, 0), (100, 0)])
def test_as_much_is_kept_as_was_handed_out_lately(line: Line, handed: int, surplus: int) -> None:
    counted, now = Surplus(line), time.monotonic()
    hand_out(line, handed)
    assert counted.count(now) == 0, "that may come too soon"
    assert counted.count(now + PACE_SECONDS) == surplus


def test_the_pace_is_that_of_the_last_second(line: Line) -> None:
    counted, now = Surplus(line), time.monotonic()
    hand_out(line, 50)
    assert counted.count(now + PACE_SECONDS) == 0
    hand_out(line, 10)
    assert counted.count(now + 2 * PACE_SECONDS) == 30


def test_who_had_nothing_has_all_the_time(line: Line) -> None:
    rows = list(line)
    line.clear()
    counted, now = Surplus(line), time.monotonic()
    assert counted.count(now + 10 * PACE_SECONDS) == 0
    line.extend(rows)
    assert counted.count(now + 10.5 * PACE_SECONDS) == 0
    assert counted.count(now + 11 * PACE_SECONDS) == 100
