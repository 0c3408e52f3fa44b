"""What jobs have said of themselves, as it is read back."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job has said it is."""

    #: From 0 to 1.
    fraction: float
    message: str
    #: The attempt that has said so, from 1.
    attempt: int
    at: datetime


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a job has written."""

    #: In which attempt, from 1.
    attempt: int
    at: datetime
    #: "stdout", "stderr", or the name of a logger.
    source: str
    #: Of a log record: "INFO", "WARNING", …; None for what was printed.
    level: str | None
    text: str
