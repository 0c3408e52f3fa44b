"""What a batch task may look like, and what its jobs are enqueued with."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from wsup import App, ArgumentsError, AsyncBatchTask, BatchTask, Retry, TaskError, current_batch
from wsup.errors import ResultError


@dataclass
class Parcel:
    to: str
    weight: float = 1.0


def two(parcels: list[Parcel], van: str) -> None: ...
def keyword(*, parcels: list[Parcel]) -> None: ...
def default(parcels: list[Parcel] = []) -> None: ...  # noqa: B006
def rest(*parcels: list[Parcel]) -> None: ...
def scalar(parcel: Parcel) -> None: ...
def plain(parcels: list[Parcel]) -> None: ...


@pytest.mark.parametrize(
    ("options", "function", "said"),
    [
        ({"batch": 0}, plain, "batch=0 won't do: give an integer from 1 to 10000"),
        ({"batch": 2.5}, plain, "batch=2.5 won't do"),
        ({"batch": True}, plain, "batch=True won't do"),
        (
            {"batch": 9, "batch_wait": -1},
            plain,
            "batch_wait=-1 won't do: give seconds from 0 to 60",
        ),
        ({"batch": 9, "batch_wait": 61}, plain, "batch_wait=61 won't do"),
        ({"batch_wait": 1}, plain, "batch_wait=1 is for batch tasks: give batch=…, too"),
        ({"batch": 9}, two, "takes one argument, .* it takes parcels: .*, van: str"),
        ({"batch": 9}, keyword, "takes one argument"),
        ({"batch": 9}, default, "without a default"),
        ({"batch": 9}, rest, "takes one argument"),
        ({"batch": 9}, scalar, r"'parcel' is the list of .*; annotate it as list\[…\]"),
    ],
)
def test_what_is_refused(options: dict[str, Any], function: Callable[..., Any], said: str) -> None:
    with pytest.raises(TaskError, match=said):
        App().task(**options)(function).prepare()


def test_a_job_is_one_element() -> None:
    app = App()
    send = app.task(batch=5)(plain)
    assert isinstance(send, BatchTask)
    assert (send.batch, send.batch_wait) == (5, 0.05)
    dumped = send.signature.dump(send.signature.bind((Parcel("a"),), {}), 1000)
    assert dumped == b'{"parcels":{"to":"a","weight":1.0}}'
    assert send.load(dumped.decode()) == Parcel("a")
    for wrong, said in [
        (5, "'parcels': Expected `object`"),
        ([Parcel("a")], "'parcels': Exp"),
        ({"weight": 1}, "'parcels': Object missing required field `to`"),
    ]:
        with pytest.raises(ArgumentsError, match=said):
            send.enqueue(wrong)  # type: ignore[arg-type]
    assert send([Parcel("a")]) is None


def test_results_are_what_is_no_exception() -> None:
    app = App()

    @app.task(batch=5, name="union")
    def union(parcels: Sequence[int]) -> tuple[Parcel | ValueError | Retry | None, ...]: ...

    @app.task(batch=5, name="bare")
    def bare(parcels: list) -> list: ...  # type: ignore[type-arg]

    @app.task(batch=5, name="nothing")
    def nothing(parcels: list[int]) -> list[Exception | None]: ...

    assert union.signature.load_result('{"to":"a"}') == Parcel("a")
    with pytest.raises(ResultError):
        union.signature.load_result("5")
    assert bare.signature.load_result("[5]") == [5]
    assert nothing.signature.load_result(None) is None


def test_called_for_a_single_job() -> None:
    """Where a supervisor's app and a subworker's disagree, amid a deploy."""
    app = App()
    ends: list[Any] = ["sent"]

    @app.task(batch=5, name="sync")
    def sync(parcels: list[int]) -> list[str | Exception]:
        return ends

    @app.task(batch=5, name="coroutine")
    async def coroutine(parcels: list[int]) -> list[str | Exception]:
        return ends

    assert isinstance(coroutine, AsyncBatchTask)
    for call in (sync.call, lambda args: asyncio.run(coroutine.call(args))):
        ends[:] = ["sent"]
        assert call('{"parcels": 1}') == "sent"
        ends[:] = [Retry(after=1)]
        with pytest.raises(Retry):
            call('{"parcels": 1}')
        ends[:] = []
        with pytest.raises(ResultError, match="called with 1 job"):
            call('{"parcels": 1}')


def test_outside_of_a_task() -> None:
    with pytest.raises(LookupError, match="inside a running task"):
        current_batch()
