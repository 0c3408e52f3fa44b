"""Queues: which there are, letting one rest over all hosts, and their order."""

import time
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from wsup.options import check
from wsup.ordering import Ageing, set_order
from wsup.sql.pool import Pool
from wsup.sql.steps import Ask, Steps, Wait, adrive, drive

#: Seconds to wait for pulls that had begun before a queue was paused. They take milliseconds;
#: whoever takes longer is somebody else, who has a look at the same table.
PULL_SECONDS: Final = 5.0
#: Seconds between two looks at them.
LOOK_SECONDS: Final = 0.002


class QueueInfo(NamedTuple):
    """A queue, and how many jobs of it stand where."""

    name: str
    #: None: it is not paused.
    paused_at: datetime | None
    ready: int
    waiting: int
    running: int
    #: How many supervisors run its jobs.
    supervisors: int
    #: In the lines of keys, or waiting for their turn.
    blocked: int
    #: Whether its keys take turns.
    fair: bool
    #: How long a job waits for each priority that it rises; None: they don't age.
    ageing: timedelta | None


class Queue:
    """A queue by its name, whether there are jobs of it or not."""

    __slots__ = ("_pool", "name")

    def __init__(self, name: str, pool: Pool) -> None:
        check("queue", queue=name)
        self.name: Final = name
        self._pool = pool

    def pause(self) -> bool:
        """Let no more jobs of it be started, on any host, until it is resumed. What supervisors
        have taken already still runs. False if it was paused before. Raises DatabaseError."""
        return drive(pause(self.name), self._pool.perform)

    async def apause(self) -> bool:
        """`pause` for asyncio."""
        return await adrive(pause(self.name), self._pool.aperform)

    def resume(self) -> bool:
        """Let its jobs run again. False if it was not paused. Raises DatabaseError."""
        return drive(resume(self.name), self._pool.perform)

    async def aresume(self) -> bool:
        """`resume` for asyncio."""
        return await adrive(resume(self.name), self._pool.aperform)

    def set(self, *, fair: bool | None = None, ageing: Ageing | None = None) -> bool:
        """Change the order in which its jobs start, of those that stand there, too; what is None
        stays as it is. `fair`: the keys take turns. `ageing`: for each time that long ("10m",
        seconds, a timedelta) a job rises by one priority; 0 for none. False if it was so before.
        Raises TaskError, DatabaseError."""
        return drive(set_order(self.name, fair, ageing), self._pool.perform)

    async def aset(self, *, fair: bool | None = None, ageing: Ageing | None = None) -> bool:
        """`set` for asyncio."""
        return await adrive(set_order(self.name, fair, ageing), self._pool.aperform)

    def __repr__(self) -> str:
        return f"Queue({self.name!r})"


def pause(queue: str) -> Steps[bool]:
    """Pause a queue. When this returns, nobody pulls a job of it any more."""
    rows = yield Ask("queue_pause", (queue,))
    deadline = time.monotonic() + PULL_SECONDS
    # By now it is committed: only pulls that are under way can have missed it.
    suspects = set((yield Ask("queue_pulls", repeatable=True))[0][0])
    while suspects and time.monotonic() < deadline:
        yield Wait(LOOK_SECONDS)
        suspects &= set((yield Ask("queue_pulls", repeatable=True))[0][0])
    return bool(rows[0][0])


def resume(queue: str) -> Steps[bool]:
    rows = yield Ask("queue_resume", (queue,))
    return bool(rows[0][0])


def queues() -> Steps[list[QueueInfo]]:
    """The queues that anybody names, by their names."""
    rows = yield Ask("queues_list", repeatable=True)
    return [QueueInfo(*row) for row in rows]
