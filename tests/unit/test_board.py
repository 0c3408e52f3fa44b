"""The notice board."""

import time

import pytest

from wsup.subworkers.board import Board, board_bytes


def make(places: int) -> Board:
    return Board(memoryview(bytearray(board_bytes(places))))


def test_shows_what_runs_and_since_when() -> None:
    board = make(3)
    started = board.start(0, 7, 1, None)
    board.start(2, 8, 3, 60.0)
    first, second = board.running()
    assert (first.job, first.attempt, first.deadline) == (7, 1, None)
    assert abs(first.started - started) < 1e-3
    assert (second.job, second.attempt) == (8, 3)
    assert second.deadline is not None
    assert abs(second.deadline - second.started - 60) < 1e-3


def test_a_cleared_place_is_free() -> None:
    board = make(1)
    board.start(0, 7, 1, None)
    board.clear(0)
    assert board.running() == []
    assert board.sync_since() is None


def test_it_tells_the_time_of_the_server() -> None:
    board = make(127)
    assert board.server_time() is None
    ahead = time.time_ns() - time.monotonic_ns()
    board.set_clock(ahead)
    assert board.server_time() == pytest.approx(time.time(), abs=1)
    assert board.running() == []


def test_takes_whole_pages() -> None:
    assert board_bytes(1) == 4096
    assert board_bytes(63) == 4096
    assert board_bytes(64) == 8192
