"""The app: a program's tasks, hooks, and its way to the database."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, ParamSpec, TypeVar, Unpack, overload

from wsup.batch_task import batch_options
from wsup.enqueue import Client
from wsup.errors import TaskError
from wsup.limiting import Limiting
from wsup.limits import Kind, Limit, TaskLimits
from wsup.naming import task_name
from wsup.operations import Operations
from wsup.options import (
    Backoff,
    LevelName,
    as_backoff,
    as_level,
    check,
    check_app,
    check_limits,
    check_name,
)
from wsup.registrar import AnyTask, BatchRegistrar, Registrar, kind_of, refuse_unfit
from wsup.schedule import CatchUp, Schedule, make_schedule
from wsup.sql.pool import Pool
from wsup.task import AsyncTask, Task
from wsup.transaction import Finisher

P = ParamSpec("P")
R = TypeVar("R")
H = TypeVar("H", bound=Callable[[], object])

T = TypeVar("T", bound=AnyTask)

#: Bytes of JSON. What is larger belongs into a table or a file, and its key into the arguments.
MAX_ARGS: Final = 1024 * 1024


class App(Operations, Limiting):
    """A program's tasks and its way to the database.

    `database` is a connection string; without one, the settings say it: WSUP_DATABASE, wsup.toml,
    or libpq's PG* variables, looked at when a connection is first needed. `max_args` limits the
    arguments of a job, in bytes of JSON. With `capture_logs`, what jobs print and log is kept with
    them (`job.logs()`, `wsup jobs logs`): records from INFO on (True), or from the level that it
    names. Raises TaskError for another value.
    """

    def __init__(
        self,
        database: str | None = None,
        *,
        max_args: int = MAX_ARGS,
        capture_logs: bool | LevelName = False,
    ) -> None:
        check_app(capture_logs=capture_logs)
        self.database = database
        #: Of the tasks that don't say it themselves.
        self.capture_logs: bool | LevelName = capture_logs
        #: By name.
        self.tasks: dict[str, AnyTask] = {}
        #: By name.
        self.schedules: dict[str, Schedule] = {}
        #: By kind and name.
        self.limits: dict[tuple[Kind, str], Limit] = {}
        #: Run in the template, once, before subworkers are forked from it …
        self.template_hooks: list[Callable[[], object]] = []
        #: … in each subworker when it starts, and when it stops.
        self.start_hooks: list[Callable[[], object]] = []
        self.stop_hooks: list[Callable[[], object]] = []
        self._client = Client(Pool(self._find_database), max_args)
        #: For `current_job().transaction()`.
        self.finisher = Finisher(Pool(self._find_database))

    @property
    def max_args(self) -> int:
        """How large the arguments of a job may be, in bytes of JSON."""
        return self._client.max_args

    @max_args.setter
    def max_args(self, value: int) -> None:
        self._client.max_args = value

    @overload
    def task(  # type: ignore[overload-overlap]
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncTask[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def task(
        self,
        function: None = None,
        /,
        *,
        name: str | None = None,
        queue: str = "default",
        priority: int = 0,
        retries: int = 0,
        backoff: Backoff | float = ...,
        timeout: float | None = None,
        expires: float | timedelta | None = None,
        deadline: float | timedelta | None = None,
        capture_logs: bool | LevelName | None = None,
        **limits: Unpack[TaskLimits],
    ) -> Registrar: ...
    @overload
    def task(
        self,
        function: None = None,
        /,
        *,
        batch: int,
        batch_wait: float = ...,
        name: str | None = None,
        queue: str = "default",
        priority: int = 0,
        retries: int = 0,
        backoff: Backoff | float = ...,
        timeout: float | None = None,
        expires: float | timedelta | None = None,
        deadline: float | timedelta | None = None,
        capture_logs: bool | LevelName | None = None,
        **limits: Unpack[TaskLimits],
    ) -> BatchRegistrar: ...
    def task(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        queue: str = "default",
        priority: int = 0,
        retries: int = 0,
        backoff: Backoff | float = Backoff(),  # noqa: B008  (it is frozen)
        timeout: float | None = None,
        expires: float | timedelta | None = None,
        deadline: float | timedelta | None = None,
        capture_logs: bool | LevelName | None = None,
        batch: int | None = None,
        batch_wait: float | None = None,
        **limits: Unpack[TaskLimits],
    ) -> Any:
        """Make a function a task: `@app.task`, or `@app.task(queue="mail", retries=3)`.

        `name` is what jobs are stored under, "module.function" if it isn't given. Of the jobs of a
        queue, those of higher `priority` run earlier. A failed attempt is followed by up to
        `retries` others, each after the wait that `backoff` says (a number: that many seconds
        each time). An attempt that takes longer than `timeout` seconds is ended. `expires` and
        `deadline`, in seconds from when a job may start, are those of jobs that are given none: if
        one hasn't started by then it never does, and at the deadline it is ended.
        `capture_logs`, if given, goes before the app's. Of its jobs `max_running` run at once over
        all hosts, `per_host` on each, and so many start as `rate` says ("100/minute"), of which up
        to `burst` are saved up.

        With `batch`, the function is called with a list of what up to so many jobs were enqueued
        with, which wait for each other up to `batch_wait` seconds (0.05), and returns a list with
        a result or an exception for each of them. Raises TaskError.
        """
        captures = self.capture_logs if capture_logs is None else capture_logs

        def register(function: Callable[..., Any]) -> AnyTask:
            label = task_name(function) if name is None else check_name(name)
            refuse_unfit(label, function, self.tasks.get(label))
            check(
                label,
                queue=queue,
                priority=priority,
                retries=retries,
                backoff=backoff,
                timeout=timeout,
                capture_logs=captures,
            )
            check_limits(label, expires=expires, deadline=deadline)
            many = batch_options(label, batch, batch_wait)
            self._say_limit("task", label, limits)
            task: AnyTask = kind_of(function, is_batch=bool(many))(
                function,
                self._client,
                name=label,
                queue=queue,
                priority=priority,
                retries=retries,
                backoff=as_backoff(backoff),
                timeout=timeout,
                expires=expires,
                deadline=deadline,
                capture_level=as_level(captures),
                **many,
            )
            self.tasks[label] = task
            return task

        return register if function is None else register(function)

    @overload
    def schedule(
        self,
        cron: str,
        /,
        *,
        timezone: str = ...,
        args: Sequence[object] = ...,
        kwargs: Mapping[str, object] | None = ...,
        name: str | None = ...,
        catch_up: CatchUp = ...,
    ) -> Callable[[T], T]: ...
    @overload
    def schedule(
        self,
        cron: None = None,
        /,
        *,
        every: float | timedelta,
        args: Sequence[object] = ...,
        kwargs: Mapping[str, object] | None = ...,
        name: str | None = ...,
        catch_up: CatchUp = ...,
    ) -> Callable[[T], T]: ...
    def schedule(
        self,
        cron: str | None = None,
        /,
        *,
        every: float | timedelta | None = None,
        timezone: str | None = None,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
        name: str | None = None,
        catch_up: CatchUp = "last",
    ) -> Callable[[T], T]:
        """Decorator, above `@app.task`: enqueue the task by the clock, again and again.

        Either by a cron expression of five fields, local times of `timezone` ("UTC" if none is
        given), or `every` so many seconds (or a timedelta), counted from 1970 on. `args` and
        `kwargs` are the task's arguments. A task may have several schedules, each with a `name` of
        its own; the first may go by the task's. `catch_up` says what becomes of ticks that came
        while no supervisor could see to them: "none" of them runs, the "last" one does, or "all"
        do (the last 1,000). Raises TaskError, ArgumentsError.
        """

        def register(task: T) -> T:
            if self.tasks.get(getattr(task, "name", "")) is not task:
                raise TaskError(
                    f"schedule of {task!r:.80}: it is no task of this app; put @app.schedule above "
                    "@app.task"
                )
            schedule = make_schedule(
                task,
                cron,
                every=every,
                timezone=timezone,
                args=args,
                kwargs=kwargs,
                name=name,
                catch_up=catch_up,
            )
            if schedule.name in self.schedules:
                raise TaskError(
                    f"schedule {schedule.name}: there are two of this name; give one of them a "
                    "name=…"
                )
            self.schedules[schedule.name] = schedule
            return task

        return register

    def on_template(self, hook: H) -> H:
        """Decorator: run this once in the template, to warm up what all subworkers share."""
        self.template_hooks.append(hook)
        return hook

    def on_subworker_start(self, hook: H) -> H:
        """Decorator: run this in each subworker when it starts, to open what it needs."""
        self.start_hooks.append(hook)
        return hook

    def on_subworker_stop(self, hook: H) -> H:
        """Decorator: run this in each subworker when it stops."""
        self.stop_hooks.append(hook)
        return hook

    def close(self) -> None:
        """Close the app's connections. It opens new ones if it is used again."""
        self._client.pool.close()
        self.finisher.pool.close()

    async def aclose(self) -> None:
        """`close` for asyncio."""
        self.close()

    def _find_database(self) -> str:
        from wsup.config.database import resolve

        return resolve(self.database)
