"""What an app can do to jobs and queues that are there already, besides a job's own handle."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from wsup.enqueue import Client, Connection
from wsup.errors import TaskError
from wsup.graph import Graph
from wsup.job import Job, JobState, Reader
from wsup.jobs import Filter, Jobs
from wsup.keys import set_key_limit
from wsup.ordering import Ageing, DeclaredOrder, declare
from wsup.queue import Queue, QueueInfo, queues
from wsup.sql.steps import adrive, drive
from wsup.values import load_any


class Operations:
    """A part of `App`."""

    _client: Client

    def graph(self, connection: Connection | None = None) -> Graph:
        """Many jobs, some of which wait for others, to be enqueued in one call.

        With `connection`, a psycopg one, in the transaction that it is in.
        """
        return Graph(self._client, connection)

    def job(self, id: int) -> Job[Any]:
        """A handle on any job; its result comes as JSON has it. `task.job(id)` knows the type."""
        return Job(id, Reader(self._client.pool, load_any))

    def jobs(
        self,
        jobs: Iterable[int | Job[Any]] | None = None,
        /,
        *,
        state: JobState | None = None,
        queue: str | None = None,
        task: str | None = None,
        key: str | None = None,
        since: datetime | timedelta | None = None,
        before: datetime | timedelta | None = None,
        error: str | None = None,
    ) -> Jobs:
        """Jobs to be counted or changed all at once: these (or their ids), or any; all that is said
        besides must be true of them.

        `since` and `before` are about when a job ended; of one that has not, when it was enqueued.
        A timedelta is that long ago. `error` is the name of the type of exception that a job failed
        with. Raises UsageError.
        """
        ids = None
        if jobs is not None:  # an empty list means none, and not any
            ids = tuple(job.id if isinstance(job, Job) else job for job in jobs)
        chosen = Filter(ids, state, queue, task, key, since, before, error)
        return Jobs(chosen, self._client.pool)

    @cached_property
    def queue_orders(self) -> dict[str, DeclaredOrder]:
        """What `queue` was told, by the queue's name."""
        return {}

    def queue(self, name: str, *, fair: bool | None = None, ageing: Ageing | None = None) -> Queue:
        """A queue, to pause or resume it, and to say in which order its jobs start.

        With `fair` or `ageing` the app declares the queue, and supervisors that load the app make
        it so: in a `fair` one the keys take turns; with `ageing` ("10m", seconds, a timedelta) a
        job rises by one priority for each time so long that it has waited. Raises TaskError for a
        name that none can have, for values that won't do, and for a second word on a queue that
        differs from the first.
        """
        queue = Queue(name, self._client.pool)
        if fair is not None or ageing is not None:
            order = declare(name, fair, ageing)
            if self.queue_orders.setdefault(name, order) != order:
                raise TaskError(
                    f"queue {name!r}: fair={fair!r}, ageing={ageing!r} differs from what was said "
                    "of it before: declare it once"
                )
        return queue

    def queues(self) -> list[QueueInfo]:
        """The queues that jobs, supervisors or pauses name, and what is in them."""
        return drive(queues(), self._client.pool.perform)

    async def aqueues(self) -> list[QueueInfo]:
        """`queues` for asyncio."""
        return await adrive(queues(), self._client.pool.aperform)

    def set_key_limit(self, key: str, key_limit: int | None) -> None:
        """Let `key_limit` jobs with this key run at once, whatever they say themselves, those that
        wait and those that come; None: what they say. Raises TaskError, DatabaseError."""
        drive(set_key_limit(key, key_limit), self._client.pool.perform)

    async def aset_key_limit(self, key: str, key_limit: int | None) -> None:
        """`set_key_limit` for asyncio."""
        await adrive(set_key_limit(key, key_limit), self._client.pool.aperform)
