"""How many jobs of a task, a queue or a key run at once, or start in a time."""

from typing import Unpack

from wsup.enqueue import Client
from wsup.limits import (
    ActiveLimit,
    Kind,
    Limit,
    TaskLimits,
    checked,
    limits,
    reset_limit,
    set_limit,
    which,
)
from wsup.sql.steps import adrive, drive


class Limiting:
    """A part of `App`."""

    _client: Client
    #: What the code says, by kind and name.
    limits: dict[tuple[Kind, str], Limit]

    def limit(
        self,
        *,
        queue: str | None = None,
        key: str | None = None,
        max_running: int | None = None,
        rate: str | None = None,
        burst: int | None = None,
    ) -> None:
        """Say, where the app is made, what a queue or a key is limited to.

        `max_running` (of a queue) is how many of its jobs run at once, over all hosts. `rate` is
        how many may start, such as "100/minute" (or second, hour, day), of which up to `burst` are
        saved up; if it isn't given, those of a second, at least 1. A supervisor that loads the app
        puts this in force. What a task is limited to, `app.task(...)` takes. Raises TaskError.
        """
        kind, name = which(None, queue, key)
        self._say_limit(kind, name, {"max_running": max_running, "rate": rate, "burst": burst})

    def set_limit(
        self,
        *,
        task: str | None = None,
        queue: str | None = None,
        key: str | None = None,
        **limits: Unpack[TaskLimits],
    ) -> None:
        """Set the limits of a task, a queue or a key in the database, whatever the code says.

        What isn't given has no limit. It holds for jobs that wait and those that come, until
        `reset_limit`; what runs already goes on. Raises TaskError, DatabaseError.
        """
        kind, name = which(task, queue, key)
        limit = checked(kind, name, **limits)
        drive(set_limit(kind, name, limit), self._client.pool.perform)

    async def aset_limit(
        self,
        *,
        task: str | None = None,
        queue: str | None = None,
        key: str | None = None,
        **limits: Unpack[TaskLimits],
    ) -> None:
        """`set_limit` for asyncio."""
        kind, name = which(task, queue, key)
        limit = checked(kind, name, **limits)
        await adrive(set_limit(kind, name, limit), self._client.pool.aperform)

    def reset_limit(
        self, *, task: str | None = None, queue: str | None = None, key: str | None = None
    ) -> None:
        """Let the code say again what a task, a queue or a key is limited to. Raises TaskError,
        DatabaseError."""
        drive(reset_limit(*which(task, queue, key)), self._client.pool.perform)

    async def areset_limit(
        self, *, task: str | None = None, queue: str | None = None, key: str | None = None
    ) -> None:
        """`reset_limit` for asyncio."""
        await adrive(reset_limit(*which(task, queue, key)), self._client.pool.aperform)

    def limits_in_force(self) -> list[ActiveLimit]:
        """What is limited to what, by the code or by hand. Raises DatabaseError."""
        return drive(limits(), self._client.pool.perform)

    async def alimits_in_force(self) -> list[ActiveLimit]:
        """`limits_in_force` for asyncio."""
        return await adrive(limits(), self._client.pool.aperform)

    def _say_limit(self, kind: Kind, name: str, given: TaskLimits) -> None:
        """Nothing, if nothing is given. Raises TaskError."""
        if unknown := given.keys() - set(Limit._fields):
            raise TypeError(f"{kind} {name}: there is no option {min(unknown)}")
        limit = checked(kind, name, **given)
        if limit != Limit():
            self.limits[kind, name] = limit
