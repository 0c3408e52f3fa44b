"""What a job was given, or has to know, beside its arguments."""

from datetime import datetime
from typing import Annotated

import msgspec


class JobOptions(msgspec.Struct, frozen=True):
    """What a job was given that differs from its task."""

    retries: Annotated[int, msgspec.Meta(ge=0, le=30_000)] | None = None
    #: Seconds.
    timeout: Annotated[float, msgspec.Meta(gt=0)] | None = None
    #: Which tick of its schedule the job is for.
    scheduled_for: datetime | None = None
    #: Not started by then, it never is; by the server's clock, as what follows.
    expires_at: datetime | None = None
    #: What goes on then is ended, and nothing is tried again.
    deadline: datetime | None = None
    #: [id, state, result] of each parent, in JSON; decoded by the task that asks for them. Empty
    #: for a job that has none.
    parents: msgspec.Raw = msgspec.Raw()
    #: JSON that an earlier attempt has kept for this one; the pull puts it here.
    checkpoint: str | None = None


_NO_OPTIONS = JobOptions()
_decode_options = msgspec.json.Decoder(JobOptions).decode


def job_options(text: str | None) -> JobOptions:
    """The options of a job. Raises msgspec.DecodeError."""
    return _decode_options(text) if text else _NO_OPTIONS
