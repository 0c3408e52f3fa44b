"""How an attempt's end is put into words, whatever the task does."""

import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from wsup import App, Cancel, Retry, Snooze, current_job
from wsup.subworkers import result as result_module
from wsup.subworkers import wire
from wsup.subworkers.attempt import Attempts
from wsup.subworkers.board import Board, board_bytes

app = App()


@pytest.fixture
def attempts() -> Iterator[Attempts]:
    before = signal.getsignal(signal.SIGALRM)
    yield Attempts(app, Board(memoryview(bytearray(board_bytes(2)))), 0)
    signal.signal(signal.SIGALRM, before)


def run(
    attempts: Attempts, work: Callable[..., Any], *, attempt: int = 1, **options: Any
) -> wire.Report:
    name = f"t{len(app.tasks)}"
    app.task(name=name, **options)(work)
    return attempts.run_sync(wire.Job(1, 2, attempt, name, "default", "{}"))


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


def raising(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize(
    "error",
    [ValueError("v"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseException("b")],
)
def test_whatever_is_raised_fails_the_attempt(attempts: Attempts, error: BaseException) -> None:
    report = run(attempts, raising(error))
    assert isinstance(report, wire.Failed)
    assert report.type == type(error).__name__
    assert report.retry_after is None


def test_an_exception_that_cannot_be_printed_is_still_told(attempts: Attempts) -> None:
    report = run(attempts, raising(Unprintable()))
    assert isinstance(report, wire.Failed)
    assert "RuntimeError was raised while printing it" in report.message


def test_texts_are_fit_for_the_database(attempts: Attempts) -> None:
    report = run(attempts, raising(ValueError("nul \0, lone \ud800, " + "long" * 10_000)))
    assert isinstance(report, wire.Failed)
    assert "nul \\0, lone \\ud800" in report.message
    assert len(report.message) < 11_000
    report.message.encode()


def test_the_traceback_begins_with_the_users_code(attempts: Attempts) -> None:
    report = run(attempts, raising(ValueError("v")))
    assert isinstance(report, wire.Failed)
    assert report.traceback is not None
    assert "in work" in report.traceback
    assert "subworkers/attempt.py" not in report.traceback


def test_verdicts(attempts: Attempts) -> None:
    assert isinstance(run(attempts, raising(Cancel("no"))), wire.Cancelled)
    snoozed = run(attempts, raising(Snooze(3)))
    assert isinstance(snoozed, wire.Snoozed)
    assert snoozed.delay == 3
    retried = run(attempts, raising(Retry(after=7)), retries=1)
    assert isinstance(retried, wire.Failed)
    assert retried.retry_after == 7
    assert retried.traceback is None


def test_a_result_too_large_for_the_database_is_told(
    attempts: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_module, "LARGEST_RESULT", 10)
    assert isinstance(run(attempts, lambda: "x" * 8), wire.Succeeded)
    report = run(attempts, lambda: "x" * 9)
    assert isinstance(report, wire.Failed)
    assert report.type == "ResultTooLarge"
    assert "takes 11 bytes of JSON, the limit is 10" in report.message


def test_retries_are_bounded(attempts: Attempts) -> None:
    for attempt, again in ((1, True), (2, True), (3, False)):
        report = run(attempts, raising(ValueError()), attempt=attempt, retries=2)
        assert isinstance(report, wire.Failed)
        assert (report.retry_after is not None) is again


def test_a_jobs_own_options_win(attempts: Attempts) -> None:
    app.task(name="stubborn", retries=0)(raising(ValueError()))
    job = wire.Job(1, 2, 1, "stubborn", "default", "{}", '{"retries": 1}')
    report = attempts.run_sync(job)
    assert isinstance(report, wire.Failed)
    assert report.retry_after is not None


def test_an_unknown_task_is_told(attempts: Attempts) -> None:
    report = attempts.run_sync(wire.Job(1, 2, 1, "nobody", "default", "{}"))
    assert report == wire.Unknown(1, 2, 1, "nobody")


def test_the_current_job_is_known_inside_only(attempts: Attempts) -> None:
    def work() -> list[object]:
        job = current_job()
        return [job.id, job.attempt, job.queue, job.deadline is not None]

    report = run(attempts, work, timeout=60)
    assert isinstance(report, wire.Succeeded)
    assert report.result == b'[2,1,"default",true]'
    with pytest.raises(LookupError, match="inside a running task"):
        current_job()


# `run` runs job 2 of claim 1.
def test_only_the_very_job_is_interrupted(attempts: Attempts) -> None:
    def work(pair: tuple[int, int]) -> Callable[[], str]:
        def strike() -> str:
            attempts.asked.add(pair)
            attempts.strike()
            return "not interrupted"

        return strike

    for other in ((1, 3), (2, 2)):
        assert isinstance(run(attempts, work(other)), wire.Succeeded)
    report = run(attempts, work((1, 2)))
    assert isinstance(report, wire.Cancelled)
    assert report.reason == "cancelled by request"
    assert isinstance(run(attempts, lambda: None), wire.Succeeded)


def test_a_signal_between_two_tasks_is_heeded_by_the_next(attempts: Attempts) -> None:
    attempts.asked.add((1, 2))
    attempts.strike()
    report = run(attempts, lambda: pytest.fail("it runs"))
    assert isinstance(report, wire.Cancelled)
    assert report.reason == "cancelled by request"


def test_no_attempt_follows_one_that_the_deadline_has_ended(attempts: Attempts) -> None:
    """Not even if the server's clock, which is corrected now and then, says that it is not over."""
    board = attempts.board
    ahead = time.time_ns() - time.monotonic_ns()
    board.set_clock(ahead)

    def work() -> None:
        try:
            time.sleep(20)
        finally:
            board.set_clock(ahead - 10**9)

    app.task(name="late", retries=3, backoff=0.01)(work)
    deadline = datetime.now(UTC) + timedelta(seconds=0.05)
    options = msgspec.json.encode({"deadline": deadline}).decode()
    report = attempts.run_sync(wire.Job(1, 2, 1, "late", "default", "{}", options))
    assert isinstance(report, wire.Failed)
    assert (report.type, report.retry_after) == ("TimedOut", None)
