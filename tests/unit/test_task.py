"""Tasks as they are declared, called, and seen by a subworker."""

import asyncio
import inspect
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from wsup import App, AsyncTask, Backoff, ResultError, Task, TaskError
from wsup.subworkers.contract import RunnableApp

app = App()


@app.task
def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


@app.task(name="halve", queue="slow", priority=5, retries=3, backoff=10, timeout=60)
async def halve(number: int) -> float:
    return number / 2


def test_a_task_is_called_as_the_function_it_was() -> None:
    assert double(3) == 6
    assert asyncio.run(halve(3)) == 1.5
    assert double.__doc__ == "Twice the number."
    assert list(inspect.signature(double).parameters) == ["number"]


def test_what_a_task_is_without_options() -> None:
    assert isinstance(double, Task)
    assert double.name == f"{__name__}.double"
    assert (double.queue, double.priority, double.retries) == ("default", 0, 0)
    assert double.timeout is None
    assert double.backoff == Backoff()


def test_what_a_task_is_with_options() -> None:
    assert isinstance(halve, AsyncTask)
    assert (halve.name, halve.queue, halve.priority) == ("halve", "slow", 5)
    assert (halve.retries, halve.timeout) == (3, 60)
    assert {halve.backoff_seconds(attempt) for attempt in (1, 2, 30000)} == {10}


def test_an_app_is_what_subworkers_need() -> None:
    runnable: RunnableApp = app
    tasks = runnable.tasks
    assert tasks["halve"].is_async
    assert not tasks[double.name].is_async
    assert tasks[double.name].call('{"number":4}') == 8
    assert asyncio.run(tasks["halve"].call('{"number":4}')) == 2.0


def test_hooks_are_collected_and_stay_functions() -> None:
    hooked = App()

    @hooked.on_template
    @hooked.on_subworker_start
    @hooked.on_subworker_stop
    def hook() -> None: ...

    assert inspect.isfunction(hook)
    assert hooked.template_hooks == hooked.start_hooks == hooked.stop_hooks == [hook]


@pytest.mark.parametrize(
    "option",
    [
        {"priority": 32768},
        {"priority": -32769},
        {"priority": True},
        {"priority": 1.0},
        {"retries": -1},
        {"retries": 30001},
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": math.inf},
        {"timeout": math.nan},
        {"timeout": "5"},
        {"queue": ""},
        {"queue": "a\tb"},
        {"queue": "x" * 201},
        {"backoff": -1},
        {"backoff": "fast"},
    ],
)
def test_an_option_that_will_not_do(option: dict[str, Any]) -> None:
    (name, value), *_ = option.items()
    with pytest.raises(TaskError) as caught:
        App().task(name="shop.pay", **option)(print)
    assert str(caught.value).startswith(f"task shop.pay: {name}={value!r} won't do: give ")


def test_the_name_is_there_once() -> None:
    with pytest.raises(TaskError, match=r"task halve: halve \(.*test_task.py:\d+\) has this name"):
        app.task(name="halve")(double.function)
    assert app.tasks["halve"] is halve


def nested() -> Callable[[], None]:
    def inner() -> None: ...

    return inner


@pytest.mark.parametrize("function", [lambda: None, nested()])
def test_what_cannot_be_found_by_name_needs_one(function: Callable[[], None]) -> None:
    with pytest.raises(TaskError, match="give it a name="):
        App().task(function)
    assert App().task(name="named")(function).name == "named"


def test_the_program_that_was_started_is_known_by_its_importable_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def task() -> None: ...

    task.__module__, task.__qualname__ = "__main__", "task"
    main = __import__("__main__")
    monkeypatch.setattr(main, "__spec__", None)
    monkeypatch.setattr(main, "__file__", "/srv/shop.py", raising=False)
    assert App().task(task).name == "shop.task"


def test_a_generator_is_no_task() -> None:
    def numbers() -> Any:
        yield 1

    with pytest.raises(TaskError, match="a generator can't be a task"):
        App().task(name="numbers")(numbers)


# options of one job ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"priority": 32768}, "priority=32768 won't do"),
        ({"queue": ""}, "queue='' won't do"),
        ({"run_at": datetime(2026, 1, 1)}, "give a datetime with a time zone"),
        ({"run_at": "2026-01-01"}, "give a datetime with a time zone"),
        ({"delay": -1}, "delay=-1 won't do"),
        ({"delay": timedelta(seconds=-1)}, "won't do: give seconds from 0 on, or a timedelta"),
        ({"delay": math.inf}, "delay=inf won't do"),
        ({"delay": 1, "run_at": datetime.now(UTC)}, "give run_at or delay, not both"),
    ],
)
def test_an_option_of_a_job_that_will_not_do(options: dict[str, Any], says: str) -> None:
    with pytest.raises(TaskError) as caught:
        double.options(**options)
    assert says in str(caught.value)


# backoff --------------------------------------------------------------------------------------


def test_backoff_grows_up_to_its_limit() -> None:
    backoff = Backoff(first=2, factor=3, most=50, jitter=0)
    assert [backoff.seconds(attempt) for attempt in (1, 2, 3, 4, 30000)] == [2, 6, 18, 50, 50]


def test_jitter_only_shortens_and_by_its_share() -> None:
    random.seed(7)
    waits = [Backoff(first=100, jitter=0.25).seconds(1) for _ in range(1000)]
    assert 75 <= min(waits) < 76
    assert 99 < max(waits) <= 100


@pytest.mark.parametrize(
    "wrong", [{"first": -1}, {"factor": 0.5}, {"most": math.inf}, {"jitter": 1.5}]
)
def test_a_backoff_that_will_not_do(wrong: dict[str, float]) -> None:
    with pytest.raises(TaskError, match=r"^Backoff\("):
        Backoff(**wrong)


# results --------------------------------------------------------------------------------------


@dataclass
class Point:
    x: float


@pytest.mark.parametrize(
    ("result", "data"),
    [
        (None, None),
        (0, b"0"),
        ({"a": None}, b'{"a":null}'),
        ("null", b'"null"'),
        ("\0", b'"\\u0000"'),
        (Point(1.5), b'{"x":1.5}'),
    ],
)
def test_a_result_is_json(result: object, data: bytes | None) -> None:
    assert double.encode(result) == data


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (object(), "result: object can't be encoded as JSON"),
        ({"a": [1, object()]}, "result.a[1]: object can't be encoded as JSON"),
        ([math.nan], "result[0]: JSON has no number nan"),
        (Point(-math.inf), "result.x: JSON has no number -inf"),
        ({"a": "\ud800"}, "result.a: "),
    ],
)
def test_a_result_that_json_cannot_carry(result: object, says: str) -> None:
    with pytest.raises(ResultError) as caught:
        double.encode(result)
    assert f"task {double.name}: {says}" in str(caught.value)
