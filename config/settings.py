"""The settings, all of them: one flat, typed, frozen Struct.

Each key is at once a line of wsup.toml, a variable WSUP_<KEY> and a flag of `wsup start`; help
texts, limits and error messages are made of what is written here (`keys.py`).
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

KIB = 1024
MIB = 1024 * KIB
DAY = 86_400.0  # seconds
CENTURY = 36_525 * DAY

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]
QueueName = Annotated[str, Meta(min_length=1, max_length=200)]


def _retention(jobs: str) -> Meta:
    return Meta(
        ge=0,
        le=CENTURY,
        description=f"How long {jobs} are kept; 0: for ever.",
        extra={"unit": "seconds"},
    )


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What one supervisor is told. The constructor checks nothing: see `loading.load`."""

    app: Annotated[
        str,
        Meta(
            pattern=r"^$|^[^\s:]+:[^\s:]+$",
            description="The app whose tasks are run.",
            extra={"expects": "pkg.module:attribute, the module and the name of your App in it"},
        ),
    ] = ""

    #: None: libpq's own variables (PGHOST, PGSERVICE, …), then the embedded server.
    database: Annotated[
        str | None,
        Meta(description='A URI, "host=… dbname=…" or "service=…".', extra={"metavar": "DSN"}),
    ] = None

    #: Instead of a database: `wsup serve` on a host that has one.
    source: Annotated[
        str,
        Meta(
            pattern=r"^$|^https?://[^\s/?#,]+[^\s?#,]*(,https?://[^\s/?#,]+[^\s?#,]*)*$",
            description="A server that has the jobs, or several, where this host has no database.",
            extra={"expects": "https://HOST:PORT, several with commas", "metavar": "URL,…"},
        ),
    ] = ""

    token_file: Annotated[
        str,
        Meta(
            description="The file of the token by which that server knows this host.",
            extra={"metavar": "FILE"},
        ),
    ] = ""

    #: Empty: those that the machine trusts.
    source_ca: Annotated[
        str,
        Meta(
            description="The file of the authorities that vouch for that server's certificate.",
            extra={"metavar": "FILE"},
        ),
    ] = ""

    #: Many more than there are cores pay only for tasks that wait in blocking calls.
    subworkers: Annotated[
        int, Meta(ge=1, le=512, description="How many processes run jobs on this host.")
    ] = 8

    #: Empty: the queues that the app's tasks name, and "default".
    queues: Annotated[
        tuple[QueueName, ...],
        Meta(
            description="The queues to run jobs of; without any, those that the tasks name.",
            extra={"expects": "a list of names of up to 200 characters", "metavar": "NAME,…"},
        ),
    ] = ()

    #: Async jobs only: a subworker runs one sync job at a time.
    concurrency: Annotated[
        int, Meta(ge=1, le=10_000, description="How many async jobs run at once in a subworker.")
    ] = 100

    #: What the statements of a turn cost no longer shows from 500 on, but what goes on around it
    #: does: each turn wakes every process once. A big batch is only pulled where it is soon done.
    batch: Annotated[int, Meta(ge=1, le=5000, description="The most jobs pulled in one turn.")] = (
        2000
    )

    #: Rows alone don't bound a turn: 5,000 jobs of 1 MiB would be 5 GiB in the supervisor.
    batch_bytes: Annotated[
        int,
        Meta(
            ge=64 * KIB,
            le=1024 * MIB,
            description="About the most bytes of args or results in one turn.",
            extra={"unit": "bytes"},
        ),
    ] = 8 * MIB

    #: What still runs then is ended, and given back for another attempt.
    grace: Annotated[
        float,
        Meta(
            ge=0,
            le=86_400,
            description="How long a stop waits for running jobs.",
            extra={"unit": "seconds"},
        ),
    ] = 30.0

    #: The exception that a time-out raises does not end C code, nor a task that catches it.
    kill_grace: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="How long after its time-out a job that goes on is ended by SIGKILL.",
            extra={"unit": "seconds"},
        ),
    ] = 5.0

    #: Each subworker gets up to a fifth less of the three, by chance, so that not all of them are
    #: due at once; its replacement is warm before it leaves.
    max_jobs: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000_000,
            description="After how many jobs a subworker is replaced; 0: never.",
        ),
    ] = 0

    #: As `ps` shows it, with what is shared with the template.
    max_rss: Annotated[
        int,
        Meta(
            ge=0,
            le=1024 * 1024 * MIB,
            description="At how much memory (RSS) a subworker is replaced; 0: never.",
            extra={"unit": "bytes"},
        ),
    ] = 0

    max_age: Annotated[
        float,
        Meta(
            ge=0,
            le=31_536_000,
            description="At what age a subworker is replaced; 0: never.",
            extra={"unit": "seconds"},
        ),
    ] = 0.0

    #: How long a host may be cut off before others take its jobs. Below 5 s a slow disk or a busy
    #: machine would look like a dead one.
    lease: Annotated[
        float,
        Meta(
            ge=5,
            le=3600,
            description="How long others wait for a sign of life before they take the jobs over.",
            extra={"unit": "seconds"},
        ),
    ] = 30.0

    #: A safety net only: new jobs wake a supervisor that sleeps.
    poll: Annotated[
        float,
        Meta(
            ge=1,
            le=60,
            description="How often to look for jobs while asleep.",
            extra={"unit": "seconds"},
        ),
    ] = 5.0

    #: Larger messages pass in pieces. The memory is shared and counts only once it was used.
    ring_bytes: Annotated[
        int,
        Meta(
            ge=64 * KIB,
            le=64 * MIB,
            multiple_of=4096,
            description="Shared memory to and from each subworker, in each direction.",
            extra={"unit": "bytes"},
        ),
    ] = MIB

    #: Only of tasks that capture; the first so many bytes, for what is sent can't be taken back.
    log_bytes: Annotated[
        int,
        Meta(
            ge=0,
            le=64 * MIB,
            description="How much of what an attempt writes is captured; 0: nothing.",
            extra={"unit": "bytes"},
        ),
    ] = 64 * KIB

    #: Larger things belong elsewhere; the args then carry their address.
    max_args: Annotated[
        int,
        Meta(
            ge=KIB,
            le=256 * MIB,
            description="The largest args that a job may be enqueued with.",
            extra={"unit": "bytes"},
        ),
    ] = MIB

    #: Such attempts don't count as retries; without a bound a job that kills its host would kill
    #: one after the other.
    max_lost: Annotated[
        int, Meta(ge=0, le=1000, description="How often a job may be lost with its host.")
    ] = 5

    #: Of several supervisors, the one that was started first goes by its own.
    retention_succeeded: Annotated[float, _retention("jobs that succeeded")] = 7 * DAY
    #: Longer, for somebody may want to know why, or to run them again …
    retention_failed: Annotated[float, _retention("jobs that failed")] = 30 * DAY
    retention_cancelled: Annotated[float, _retention("cancelled jobs")] = 7 * DAY
    #: … and what has expired was not done either.
    retention_expired: Annotated[float, _retention("expired jobs")] = 30 * DAY

    #: Empty: $RUNTIME_DIRECTORY, which systemd sets, else .wsup. `load` puts in which.
    run_dir: Annotated[
        str,
        Meta(description="The folder of wsup.pid and wsup.sock.", extra={"metavar": "DIR"}),
    ] = ""

    log_level: Annotated[LogLevel, Meta(description="The least important messages to log.")] = (
        "info"
    )

    log_format: Annotated[LogFormat, Meta(description="The form of the log's lines.")] = "text"

    #: A line is logged for each try; the pauses between them grow to 5 s.
    connect_tries: Annotated[
        int, Meta(ge=1, le=10_000, description="How often to try to reach the database at start.")
    ] = 10

    #: Empty: as `database`.
    listen: Annotated[
        str,
        Meta(
            description="A direct way to the database, where the other leads to a pooler; off: "
            "none, jobs are found by polling.",
            extra={"metavar": "DSN|off"},
        ),
    ] = ""

    #: Half the lease at most: who waits for longer is taken for dead.
    statement_timeout: Annotated[
        float,
        Meta(
            ge=1,
            le=600,
            description="How long to wait for an answer of the database's before reconnecting.",
            extra={"unit": "seconds"},
        ),
    ] = 30.0
