"""Tasks: functions that can be called as before, or enqueued as jobs."""

import functools
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar, cast

from wsup.enqueue import Client, Connection, Enqueuer
from wsup.errors import ResultError
from wsup.job import Job
from wsup.options import Backoff, OnConflict, Order, When, in_seconds
from wsup.parents import OnParentFailure, Parents
from wsup.signature import Signature
from wsup.values import Unfit, to_json

P = ParamSpec("P")
R = TypeVar("R")


class BaseTask(Enqueuer[P, R]):
    """What tasks have in common, whether their function is a plain or an async one."""

    is_async: ClassVar[bool]
    signature_kind: ClassVar[type[Signature]] = Signature
    #: As the function has it.
    __name__: str

    def __init__(
        self,
        function: Callable[P, Any],
        client: Client,
        *,
        name: str,
        queue: str,
        priority: int,
        retries: int,
        backoff: Backoff,
        timeout: float | None,
        capture_level: int | None,
        expires: float | timedelta | None = None,
        deadline: float | timedelta | None = None,
        batch: int = 0,
        batch_wait: float = 0.0,
    ) -> None:
        # First, for it also copies the function's own attributes.
        functools.update_wrapper(cast("Callable[P, Any]", self), function)
        self.function = function
        self.name = name
        self.queue = queue
        self.priority = priority
        #: How many failed attempts are followed by another one …
        self.retries = retries
        #: … and after which wait.
        self.backoff = backoff
        #: Seconds that an attempt may take.
        self.timeout = timeout
        #: From which level on its log records are captured, with what it prints; None: nothing.
        self.capture_level = capture_level
        #: Seconds, from when a job may start, until it may start no more, and go on no more.
        self.expires = in_seconds(expires)
        self.deadline = in_seconds(deadline)
        #: How many jobs one call takes at most (0: it is called with one job) …
        self.batch = batch
        #: … and how many seconds they wait for each other.
        self.batch_wait = batch_wait
        order = Order(name, queue, priority, task_expires=self.expires, task_deadline=self.deadline)
        super().__init__(self.signature_kind(name, function), order, client)

    def options(
        self,
        *,
        queue: str | None = None,
        priority: int | None = None,
        run_at: datetime | None = None,
        delay: float | timedelta | None = None,
        retries: int | None = None,
        timeout: float | None = None,
        expires: When | None = None,
        deadline: When | None = None,
        unique_key: str | Callable[P, str | None] | None = None,
        on_conflict: OnConflict | None = None,
        unique_for: float | timedelta | None = None,
        after: Parents | None = None,
        after_lax: Parents | None = None,
        on_parent_failure: OnParentFailure = "cancel",
        key: str | None = None,
        key_limit: int | None = None,
        connection: Connection | None = None,
    ) -> Enqueuer[P, R]:
        """The same task with other options: `task.options(delay=60).enqueue(...)`.

        `run_at` needs a time zone; `delay` and `timeout` are in seconds. None leaves what the task
        has. A job that has not started when it `expires` never does; at its `deadline` its attempt
        is ended, and there is no other (both: seconds from now on, or a datetime with a time zone).

        While a job of this task with the same `unique_key` has not ended, or for `unique_for`
        seconds, no other one is made. `on_conflict` says what is done instead: "skip", its handle
        is returned; "replace", it is also changed into what is asked for now, unless it has
        started; "raise", JobExists. A function is called with the arguments of each job and
        returns its key, or None.

        The job waits for those in `after` (jobs, their ids, nodes of a graph) to succeed, and for
        those in `after_lax` to end; if one of the former doesn't succeed, it is cancelled, or with
        on_parent_failure="run" runs nevertheless.

        Of the jobs that share a `key`, at most `key_limit` (1, if none is given) run at once, over
        all hosts, by priority, then age. A job has a key or a unique one, not both.

        With `connection`, a psycopg one, jobs are enqueued in the transaction that it is in,
        and exist only if that is committed. Raises TaskError for a value that won't do.
        """
        order = self._order.changed(
            queue=queue,
            priority=priority,
            run_at=run_at,
            delay=delay,
            retries=retries,
            timeout=timeout,
            expires=expires,
            deadline=deadline,
            unique_key=unique_key,
            on_conflict=on_conflict,
            unique_for=unique_for,
            after=after,
            after_lax=after_lax,
            on_parent_failure=on_parent_failure,
            key=key,
            key_limit=key_limit,
        )
        return Enqueuer(self._signature, order, self._client, connection)

    def job(self, id: int) -> Job[R]:
        """A handle on a job of this task."""
        return Job(id, self._reader)

    @property
    def signature(self) -> Signature:
        """How the arguments of its jobs are bound and checked."""
        return self._signature

    # what the subworkers need -------------------------------------------------------------------

    def prepare(self) -> None:
        """Resolve the annotations now. Raises TaskError for one that JSON can't be turned into."""
        self._signature.prepare()

    def call(self, args: str) -> Any:
        """Call the function with arguments out of a JSON object. Raises ArgumentsError."""
        return self._signature.call(args)

    def encode(self, result: Any) -> bytes | None:
        """A result as JSON; None for None. Raises ResultError if JSON can't carry it."""
        if result is None:
            return None
        try:
            return to_json(result)
        except Unfit as error:
            raise ResultError(
                f"task {self.name}: result{error.where}: {error.what}; return what JSON can carry"
            ) from None

    def backoff_seconds(self, attempt: int) -> float:
        """How long to wait after failed attempt number `attempt`, from 1."""
        return self.backoff.seconds(attempt)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class Task(BaseTask[P, R], Generic[P, R]):
    """A task made of a plain function."""

    is_async = False
    function: Callable[P, R]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function here and now."""
        return self.function(*args, **kwargs)


class AsyncTask(BaseTask[P, R], Generic[P, R]):
    """A task made of an async function."""

    is_async = True
    function: Callable[P, Coroutine[Any, Any, R]]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Call the function here; it runs as it is awaited."""
        return self.function(*args, **kwargs)
