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

from wsup.app import App
from wsup.enqueue import Args, Enqueuer
from wsup.errors import (
    ArgumentsError,
    ArgumentsTooLarge,
    ConfigError,
    ConnectionLost,
    DatabaseError,
    JobCancelled,
    JobError,
    JobExpired,
    JobFailed,
    JobNotFound,
    ResultError,
    ResultTimeout,
    TaskError,
    UsageError,
    WsupError,
)
from wsup.job import Job, JobState
from wsup.options import Backoff
from wsup.subworkers.context import Cancel, CurrentJob, Retry, Snooze, current_job
from wsup.task import AsyncTask, Task

__all__ = [
    "App",
    "Args",
    "ArgumentsError",
    "ArgumentsTooLarge",
    "AsyncTask",
    "Backoff",
    "Cancel",
    "ConfigError",
    "ConnectionLost",
    "CurrentJob",
    "DatabaseError",
    "Enqueuer",
    "Job",
    "JobCancelled",
    "JobError",
    "JobExpired",
    "JobFailed",
    "JobNotFound",
    "JobState",
    "ResultError",
    "ResultTimeout",
    "Retry",
    "Snooze",
    "Task",
    "TaskError",
    "UsageError",
    "WsupError",
    "current_job",
]
