"""The messages between supervisor, template and subworkers, as MessagePack arrays.

Arguments and results travel as the JSON text that the database holds; the supervisor passes them
on without a look.
"""

from collections.abc import Sequence

import msgspec

from .declared import LimitInfo, QueueOrder, ScheduleInfo

#: Why a job was cancelled that somebody has asked to cancel.
BY_REQUEST = "cancelled by request"


class Message(msgspec.Struct, array_like=True, gc=False, tag_field="kind"):
    """Positional on the wire: new fields only at the end, with defaults."""


# supervisor -> subworker ------------------------------------------------------------------------


class Job(msgspec.Struct, array_like=True, gc=False):
    """One attempt of a job, field by field what the pull returns."""

    claim: int
    id: int
    attempt: int
    task: str
    queue: str
    args: str
    options: str | None = None


class Run(Message, tag=1):
    """Run these, in this order."""

    jobs: list[Job]


class Batch(Message, tag=5):
    """Run these, of one batch task, in one call."""

    jobs: list[Job]

    @property
    def id(self) -> int:
        """The job that stands for all."""
        return self.jobs[0].id


class Recall(Message, tag=2):
    """Give back what has not been started."""


class Stop(Message, tag=3):
    """Finish what you have, then end."""


class Cancel(Message, tag=4):
    """End this job: not started, it is not to be; running, its task gets an exception."""

    claim: int
    job: int


Order = Run | Recall | Stop | Cancel | Batch


# subworker -> supervisor ------------------------------------------------------------------------


class Ready(Message, tag=10):
    """Warm: the start hooks have run."""


class Succeeded(Message, tag=11):
    claim: int
    job: int
    attempt: int
    seconds: float
    result: bytes | None


class Failed(Message, tag=12):
    claim: int
    job: int
    attempt: int
    seconds: float
    #: Seconds to wait before the next attempt; None: there is none.
    retry_after: float | None
    type: str
    message: str
    traceback: str | None
    #: Whether the job may be over nevertheless, by a commit of its task's own.
    in_doubt: bool = False


class Snoozed(Message, tag=13):
    claim: int
    job: int
    attempt: int
    delay: float


class Cancelled(Message, tag=14):
    claim: int
    job: int
    attempt: int
    seconds: float
    reason: str


def dropped(job: Job) -> Cancelled:
    """Of a job that was cancelled before it was started."""
    return Cancelled(job.claim, job.id, job.attempt, 0.0, BY_REQUEST)


class Unknown(Message, tag=15):
    """No such task in this app."""

    claim: int
    job: int
    attempt: int
    task: str


class Returned(Message, tag=16):
    """Recalled jobs that had not been started."""

    jobs: list[int]


class Unfit(Message, tag=17):
    """A start hook has failed: this subworker can't work, and says why."""

    traceback: str


class Untrusted(Message, tag=18):
    """A job has left this subworker in a state in which no other one should run in it."""

    job: int
    reason: str


class Expired(Message, tag=19):
    """It was not started in time, and is not to be."""

    claim: int
    job: int
    attempt: int
    reason: str


class Note(Message, tag=40):
    """How far a running job is, and what it keeps for a later attempt: the latest of each."""

    claim: int
    job: int
    attempt: int
    #: From 0 to 1; None if it hasn't said.
    fraction: float | None
    message: str
    #: JSON; None if it keeps nothing.
    checkpoint: bytes | None


class Logged(Message, tag=41):
    """A line that a job has written."""

    claim: int
    job: int
    attempt: int
    #: JSON: seconds since 1970, source, level or null, text.
    line: bytes


class Settled(Message, tag=26):
    """The job is over, and the database knows: its task has committed its outcome itself."""

    job: int
    seconds: float


class Reports(Message, tag=25):
    """Of all jobs of one call; in one message, so that a death can't part them."""

    reports: list[Succeeded | Failed | Snoozed | Cancelled | Expired]


Report = (
    Ready
    | Succeeded
    | Failed
    | Snoozed
    | Cancelled
    | Unknown
    | Returned
    | Unfit
    | Untrusted
    | Expired
    | Note
    | Logged
    | Settled
    | Reports
)


# supervisor <-> template ------------------------------------------------------------------------


class Load(Message, tag=20):
    app: str
    concurrency: int
    ring_bytes: int
    #: How much is captured of what an attempt writes; 0: nothing.
    log_bytes: int = 0


class Fork(Message, tag=21):
    """Make subworker number `index`; its descriptors come with this message."""

    index: int


class TaskInfo(msgspec.Struct, array_like=True, frozen=True):
    """What the supervisor must know of a task."""

    name: str
    queue: str
    is_async: bool
    retries: int
    timeout: float | None
    #: Seconds to wait after the first, second, … failed attempt, should the subworker die of it.
    delays: list[float] = []
    #: Is what its jobs write captured?
    is_captured: bool = False
    #: How many jobs one call takes at most (0: it is no batch task), and how many seconds they wait
    #: for each other.
    batch: int = 0
    batch_wait: float = 0.0


class Loaded(Message, tag=22):
    tasks: list[TaskInfo]
    warnings: list[str]
    schedules: list[ScheduleInfo] = []
    queues: list[QueueOrder] = []
    limits: list[LimitInfo] = []


class NotLoaded(Message, tag=23):
    """The app could not be imported; `report` is for the user to read."""

    report: str


class Forked(Message, tag=24):
    index: int
    pid: int


TemplateOrder = Load | Fork
TemplateReport = Loaded | NotLoaded | Forked

_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode
decode_order = msgspec.msgpack.Decoder(Order).decode
decode_report = msgspec.msgpack.Decoder(Report).decode
decode_template_order = msgspec.msgpack.Decoder(TemplateOrder).decode
decode_template_report = msgspec.msgpack.Decoder(TemplateReport).decode


def encode_run(rows: Sequence[tuple[object, ...]]) -> bytes:
    """`Run` straight from the pull's rows, whose columns are the fields of `Job`."""
    return _encoder.encode((1, rows))


def encode_batch(rows: Sequence[tuple[object, ...]]) -> bytes:
    """`Batch`, likewise."""
    return _encoder.encode((5, rows))
