"""What the subworkers need of the user's app: the shape that `wsup.App` and its tasks have."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol

from .declared import LimitInfo, QueueOrder, ScheduleInfo
from .ending import Ending


class RunnableTask(Protocol):
    """A task as it is run."""

    @property
    def name(self) -> str: ...
    @property
    def queue(self) -> str: ...
    @property
    def is_async(self) -> bool: ...
    @property
    def retries(self) -> int:
        """How many failed attempts are followed by another one."""

    @property
    def timeout(self) -> float | None:
        """Seconds that an attempt may take."""

    @property
    def expires(self) -> float | None:
        """Seconds after its tick until which a schedule's job may start …"""

    @property
    def deadline(self) -> float | None:
        """… and go on."""

    @property
    def capture_level(self) -> int | None:
        """From which level on its log records are captured, with what it prints; None: nothing."""

    @property
    def batch(self) -> int:
        """How many jobs one call takes at most; 0 for a task of one job a call."""

    @property
    def batch_wait(self) -> float:
        """Seconds that jobs wait for each other."""

    def prepare(self) -> None:
        """Resolve the signature now, before the fork. Raises an error naming the task."""

    def call(self, args: str) -> Any:
        """Decode JSON arguments and call the function (an async one returns its coroutine).

        Raises `wsup.ArgumentsError` where they don't fit the signature.
        """

    def encode(self, result: Any) -> bytes | None:
        """The result as JSON; None for None. Raises `wsup.ResultError` if JSON can't carry it."""

    def backoff_seconds(self, attempt: int) -> float:
        """How long to wait after failed attempt number `attempt` (from 1)."""


class RunnableBatchTask(RunnableTask, Protocol):
    """A task that is called with many jobs at once."""

    def load(self, args: str) -> Any:
        """One job's part in a call. Raises `wsup.ArgumentsError`."""

    def call_batch(self, items: list[Any]) -> Any:
        """Call the function; an async one returns its coroutine."""


class RunnableSchedule(Protocol):
    """A schedule as it is told to the supervisor."""

    def info(self) -> ScheduleInfo:
        """Raises an error naming the schedule if its arguments don't fit its task."""


class Finisher(Protocol):
    """Opens transactions whose commit also writes how a job has ended."""

    def begin(self, ending: Ending, given: Any) -> AbstractContextManager[Any]:
        """A connection in a transaction: of the app's own, or out of what was `given`."""

    def abegin(self, ending: Ending, given: Any) -> AbstractAsyncContextManager[Any]:
        """`begin` for asyncio."""


class OrderedQueue(Protocol):
    """A queue with an order of its own, as it is told to the supervisor."""

    def info(self) -> QueueOrder: ...


class RunnableLimit(Protocol):
    """A limit as it is told to the supervisor."""

    def info(self, kind: str, name: str) -> LimitInfo: ...


class RunnableApp(Protocol):
    """An app as it is loaded by the template."""

    @property
    def finisher(self) -> Finisher: ...

    @property
    def tasks(self) -> Mapping[str, RunnableTask]: ...
    @property
    def schedules(self) -> Mapping[str, RunnableSchedule]: ...
    @property
    def queue_orders(self) -> Mapping[str, OrderedQueue]: ...
    @property
    def limits(self) -> Mapping[Any, RunnableLimit]:
        """By kind and name."""

    @property
    def template_hooks(self) -> Sequence[Callable[[], object]]: ...
    @property
    def start_hooks(self) -> Sequence[Callable[[], object]]: ...
    @property
    def stop_hooks(self) -> Sequence[Callable[[], object]]: ...
