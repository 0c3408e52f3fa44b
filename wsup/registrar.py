"""What `@app.task` makes of which function."""

import inspect
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, ParamSpec, Protocol, TypeAlias, TypeVar, overload

from wsup.batch_task import AsyncBatchTask, BatchTask
from wsup.errors import TaskError
from wsup.naming import place_of
from wsup.task import AsyncTask, Task

P = ParamSpec("P")
R = TypeVar("R")
I = TypeVar("I")  # noqa: E741

AnyTask: TypeAlias = (
    Task[..., Any] | AsyncTask[..., Any] | BatchTask[Any, Any] | AsyncBatchTask[Any, Any]
)


class Registrar(Protocol):
    """What `app.task(...)` with options returns: the decorator."""

    # A coroutine is a result, too, so the first of the two overlaps with the second, and wins.
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...


class BatchRegistrar(Protocol):
    """What `app.task(batch=…)` returns: the decorator of a function that takes many jobs at once.

    It returns a result or an exception for each of them, or None.
    """

    @overload
    def __call__(
        self, function: Callable[[list[I]], Coroutine[Any, Any, None]], /
    ) -> AsyncBatchTask[I, None]: ...
    @overload
    def __call__(
        self, function: Callable[[list[I]], Coroutine[Any, Any, Sequence[R | Exception]]], /
    ) -> AsyncBatchTask[I, R]: ...
    @overload
    def __call__(self, function: Callable[[list[I]], None], /) -> BatchTask[I, None]: ...
    @overload
    def __call__(
        self, function: Callable[[list[I]], Sequence[R | Exception]], /
    ) -> BatchTask[I, R]: ...


def kind_of(function: Callable[..., Any], *, is_batch: bool) -> type[Any]:
    """What kind of task a function becomes."""
    if inspect.iscoroutinefunction(function):
        return AsyncBatchTask if is_batch else AsyncTask
    return BatchTask if is_batch else Task


def refuse_unfit(label: str, function: Callable[..., Any], taken: AnyTask | None) -> None:
    """Raises TaskError for a function that can't be a task, or not under this name, which is
    `taken`."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TaskError(f"task {label}: a generator can't be a task: return a list instead")
    if taken is not None:
        raise TaskError(
            f"task {label}: {place_of(taken.function)} has this name, and "
            f"{place_of(function)} wants it, too; give one of them a name=…"
        )
