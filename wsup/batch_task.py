"""Batch tasks: enqueued job by job, called with many jobs at once."""

import functools
import types
import typing
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any, Final, Generic, TypeVar

from wsup.errors import ResultError, TaskError
from wsup.model import Model, build
from wsup.options import check
from wsup.signature import Signature
from wsup.task import BaseTask

I = TypeVar("I")  # noqa: E741
R = TypeVar("R")

#: Seconds that jobs wait for each other, if nothing else is said.
BATCH_WAIT: Final = 0.05
#: What a batch task's parameter, and its result, may be annotated as.
_MANY: Final = (list, tuple, Sequence, Iterable, Collection)


class BatchSignature(Signature):
    """One parameter, a list; what is bound, checked and sent for a job is one element of it."""

    def __init__(self, task: str, function: Callable[..., Any]) -> None:
        super().__init__(task, function)
        plain = [p for p in self._parameters if p.name in self._positional and p.default is p.empty]
        if len(plain) != 1 or len(self._parameters) != 1:
            takes = ", ".join(str(p) for p in self._parameters) or "none"
            raise TaskError(
                f"task {task}: a batch task takes one argument, the list of what its jobs were "
                f"enqueued with, without a default; it takes {takes}"
            )

    def _build(self) -> Model:
        return build(self.task, self._function, self._parameters, self._of_one)

    def _of_one(self, hints: dict[str, Any]) -> dict[str, Any]:
        """The annotations as they are for one job."""
        name = self._positional[0]
        item = _element(hints.get(name, Any))
        if item is None:
            raise TaskError(
                f"task {self.task}: argument {name!r} is the list of what the jobs of a batch were "
                "enqueued with; annotate it as list[…]"
            )
        return {name: item, "return": _without_errors(_element(hints.get("return", Any)))}

    def load(self, text: str) -> Any:
        """One job's element of the list. Raises ArgumentsError."""
        return getattr(self._load(text), "p0")  # noqa: B009  (the model's name for it)


def _element(hint: Any) -> Any:
    """What a list holds by its annotation; None for what is no list."""
    if hint is Any or hint in _MANY:
        return Any
    if typing.get_origin(hint) in _MANY:
        return (typing.get_args(hint) or (Any,))[0]
    return None


def _without_errors(hint: Any) -> Any:
    """Of what may be returned for a job, that which isn't raised."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return type(None) if hint is None or _is_error(hint) else hint
    kinds = [kind for kind in typing.get_args(hint) if not _is_error(kind)]
    return functools.reduce(lambda a, b: a | b, kinds)


def _is_error(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, BaseException)


def batch_options(task: str, batch: int | None, batch_wait: float | None) -> dict[str, Any]:
    """What makes a task a batch task; nothing for another one. Raises TaskError."""
    if batch is None:
        if batch_wait is not None:
            raise TaskError(
                f"task {task}: batch_wait={batch_wait!r} is for batch tasks: give batch=…, too"
            )
        return {}
    wait = BATCH_WAIT if batch_wait is None else batch_wait
    check(task, batch=batch, batch_wait=wait)
    return {"batch": batch, "batch_wait": float(wait)}


class BaseBatchTask(BaseTask[[I], R], Generic[I, R]):
    """What batch tasks have in common, whether their function is a plain or an async one."""

    signature_kind = BatchSignature
    function: Callable[..., Any]
    _signature: BatchSignature

    def load(self, args: str) -> Any:
        """What one job was enqueued with, out of JSON. Raises ArgumentsError."""
        return self._signature.load(args)

    def call_batch(self, items: list[Any]) -> Any:
        """Call the function with many."""
        return self.function(items)

    def _only(self, ends: Any) -> Any:
        """What a call for one job says of that."""
        if ends is None:
            return None
        if not isinstance(ends, list | tuple) or len(ends) != 1:
            raise ResultError(f"task {self.name} was called with 1 job: return a list of 1 result")
        if isinstance(ends[0], BaseException):
            raise ends[0]
        return ends[0]


class BatchTask(BaseBatchTask[I, R], Generic[I, R]):
    """A batch task made of a plain function."""

    is_async = False

    def __call__(self, items: list[I], /) -> Sequence[R | Exception]:
        """Call the function here and now."""
        return typing.cast("Sequence[R | Exception]", self.function(items))

    def call(self, args: str) -> Any:
        """Call the function for a single job."""
        return self._only(self.function([self.load(args)]))


class AsyncBatchTask(BaseBatchTask[I, R], Generic[I, R]):
    """A batch task made of an async function."""

    is_async = True

    def __call__(self, items: list[I], /) -> Coroutine[Any, Any, Sequence[R | Exception]]:
        """Call the function here; it runs as it is awaited."""
        return typing.cast("Coroutine[Any, Any, Sequence[R | Exception]]", self.function(items))

    async def call(self, args: str) -> Any:
        """Call the function for a single job."""
        return self._only(await self.function([self.load(args)]))
