"""What can go wrong, as a user of wsup sees it.

WsupError
├── UsageError                 asked for wrongly: one line, exit code 2
│   ├── ConfigError            … a setting
│   ├── DatabaseError          … the database can't be reached, or not used
│   │   └── ConnectionLost     … the connection broke before the answer came
│   ├── TaskError              … a task or one of its options
│   └── ArgumentsError         … arguments that don't fit the task (a TypeError, too)
│       └── ArgumentsTooLarge
├── CheckpointError            can't be kept, or isn't of the type asked for (a ValueError, too)
├── ResultError                a result that JSON can't carry, or that isn't what was annotated
└── JobError                   one job, `.job_id`
    ├── JobNotFound
    ├── JobExists              `.key`; enqueued with on_conflict="raise"
    ├── JobFailed              `.type`, `.message`, `.traceback`, `.attempt`
    ├── JobCancelled           `.reason`
    ├── JobExpired             `.reason`
    ├── JobLost                … while its task was running: it is no longer the task's to end
    └── ResultTimeout          the job goes on; only the wait is over (a TimeoutError, too)
"""

from wsup.config.errors import ConfigError, DatabaseError, UsageError, WsupError
from wsup.sql.connect import ConnectionLost
from wsup.subworkers.notes import CheckpointError

__all__ = [
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
]


class TaskError(UsageError):
    """A task, or one of its options, can't be as it is declared."""


class ArgumentsError(UsageError, TypeError):
    """The arguments don't fit the task."""


class ArgumentsTooLarge(ArgumentsError):
    """The arguments are larger than the limit."""


class ResultError(WsupError):
    """JSON can't carry this result."""


class JobError(WsupError):
    """Something is the matter with a job."""

    def __init__(self, message: str | None = None, *, job_id: int = 0) -> None:
        super().__init__(message)
        self.job_id = job_id


class JobNotFound(JobError):
    """There is no such job."""


class JobExists(JobError):
    """Another job has this unique key; `.job_id` is 0 if it is one of the same call."""

    def __init__(
        self, message: str | None = None, *, job_id: int = 0, key: str | None = None
    ) -> None:
        super().__init__(message, job_id=job_id)
        self.key = key


class JobFailed(JobError):
    """The job has failed, and has no attempt left."""

    def __init__(
        self,
        message: str | None = None,
        *,
        job_id: int = 0,
        type: str = "",
        reason: str = "",
        traceback: str | None = None,
        attempt: int = 0,
    ) -> None:
        super().__init__(message, job_id=job_id)
        #: The class of the exception that ended the last attempt, by name.
        self.type = type
        #: What that exception said.
        self.message = reason
        self.traceback = traceback
        #: The number of the last attempt, from 1.
        self.attempt = attempt


class JobCancelled(JobError):
    """The job was cancelled."""

    def __init__(
        self, message: str | None = None, *, job_id: int = 0, reason: str | None = None
    ) -> None:
        super().__init__(message, job_id=job_id)
        self.reason = reason


class JobExpired(JobError):
    """The job was not started in time."""

    def __init__(
        self, message: str | None = None, *, job_id: int = 0, reason: str | None = None
    ) -> None:
        super().__init__(message, job_id=job_id)
        self.reason = reason


class JobLost(JobError):
    """The job was settled, or given to others, before its task's own transaction could end it."""


class ResultTimeout(JobError, TimeoutError):
    """The job has not ended in the time that was given; it goes on."""
