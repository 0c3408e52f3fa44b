"""Background jobs for Python out of PostgreSQL.

    from wsup import App

    app = App()

    @app.task(retries=3)
    def pay(order: int, amount: float) -> str: ...

    pay(1, 2.5)                         # calls the function
    job = pay.enqueue(1, amount=2.5)    # a subworker calls it
    job.result(timeout=10)

`wsup start --app module:app` runs the jobs.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsup.app import App
    from wsup.batch_task import AsyncBatchTask, BatchTask
    from wsup.enqueue import Args, Enqueuer
    from wsup.errors import (
        ArgumentsError,
        ArgumentsTooLarge,
        CheckpointError,
        ConfigError,
        ConnectionLost,
        DatabaseError,
        JobCancelled,
        JobError,
        JobExists,
        JobExpired,
        JobFailed,
        JobLost,
        JobNotFound,
        ResultError,
        ResultTimeout,
        TaskError,
        UsageError,
        WsupError,
    )
    from wsup.graph import Graph, Node
    from wsup.job import Job, JobState
    from wsup.jobs import FailedJobs, Jobs
    from wsup.limits import ActiveLimit
    from wsup.notes import LogLine, Progress
    from wsup.options import Backoff
    from wsup.queue import Queue, QueueInfo
    from wsup.subworkers.context import (
        Cancel,
        CancelRequested,
        CurrentJob,
        Retry,
        Snooze,
        current_batch,
        current_job,
    )
    from wsup.subworkers.parents import ParentJob
    from wsup.task import AsyncTask, Task

#: Where each name lives. They are imported when they are first used: the supervisor and most
#: commands need none of them, and should start fast.
_HOMES = {
    "wsup.app": ("App",),
    "wsup.batch_task": (
        "AsyncBatchTask",
        "BatchTask",
    ),
    "wsup.enqueue": (
        "Args",
        "Enqueuer",
    ),
    "wsup.errors": (
        "ArgumentsError",
        "ArgumentsTooLarge",
        "CheckpointError",
        "ConfigError",
        "ConnectionLost",
        "DatabaseError",
        "JobCancelled",
        "JobError",
        "JobExists",
        "JobExpired",
        "JobFailed",
        "JobLost",
        "JobNotFound",
        "ResultError",
        "ResultTimeout",
        "TaskError",
        "UsageError",
        "WsupError",
    ),
    "wsup.graph": (
        "Graph",
        "Node",
    ),
    "wsup.job": (
        "Job",
        "JobState",
    ),
    "wsup.jobs": (
        "FailedJobs",
        "Jobs",
    ),
    "wsup.limits": ("ActiveLimit",),
    "wsup.notes": (
        "LogLine",
        "Progress",
    ),
    "wsup.options": ("Backoff",),
    "wsup.queue": (
        "Queue",
        "QueueInfo",
    ),
    "wsup.subworkers.context": (
        "Cancel",
        "CancelRequested",
        "CurrentJob",
        "Retry",
        "Snooze",
        "current_batch",
        "current_job",
    ),
    "wsup.subworkers.parents": ("ParentJob",),
    "wsup.task": (
        "AsyncTask",
        "Task",
    ),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "ActiveLimit",
    "App",
    "Args",
    "ArgumentsError",
    "ArgumentsTooLarge",
    "AsyncBatchTask",
    "AsyncTask",
    "Backoff",
    "BatchTask",
    "Cancel",
    "CancelRequested",
    "CheckpointError",
    "ConfigError",
    "ConnectionLost",
    "CurrentJob",
    "DatabaseError",
    "Enqueuer",
    "FailedJobs",
    "Graph",
    "Job",
    "JobCancelled",
    "JobError",
    "JobExists",
    "JobExpired",
    "JobFailed",
    "JobLost",
    "JobNotFound",
    "JobState",
    "Jobs",
    "LogLine",
    "Node",
    "ParentJob",
    "Progress",
    "Queue",
    "QueueInfo",
    "ResultError",
    "ResultTimeout",
    "Retry",
    "Snooze",
    "Task",
    "TaskError",
    "UsageError",
    "WsupError",
    "current_batch",
    "current_job",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
