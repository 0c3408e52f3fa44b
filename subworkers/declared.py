"""What an app declares besides its tasks, as the template tells it to the supervisor."""

import msgspec


class ScheduleInfo(msgspec.Struct, array_like=True, frozen=True):
    """When which job is to be enqueued, again and again."""

    name: str
    task: str
    queue: str
    priority: int
    #: JSON.
    args: str
    #: A cron expression, or None for …
    cron: str | None
    timezone: str
    #: … every so many seconds.
    every: float | None
    catch_up: str


class QueueOrder(msgspec.Struct, array_like=True, frozen=True):
    """In which order the jobs of a queue are to start."""

    queue: str
    fair: bool
    #: Seconds; 0: none.
    ageing: float


class LimitInfo(msgspec.Struct, array_like=True, frozen=True):
    """What a task, a queue or a key is limited to."""

    kind: str
    name: str
    #: JSON: max_running, per_host, rate, burst.
    limits: str
