"""What a running job says of itself: how far it is, what a later attempt is to know, what it logs.

Progress and checkpoint go onto the slate, where the latest one counts, and once more, as the last
word, into the ring of results, before the job's own. Lines go into the ring as they are written,
and so does all that jobs say which run in one call: they have one place on the slate.
"""

import json
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ..config.errors import WsupError
from . import wire
from .slate import Slate
from .texts import shortened, storable

if TYPE_CHECKING:
    from .context import CurrentJob
    from .lines import Lines

T = TypeVar("T")

#: Characters of a progress message; more is cut off.
MESSAGE_CHARS = 1000
#: Bytes of JSON of the largest checkpoint: it is written again whenever it changes, and travels
#: with the job.
LARGEST_CHECKPOINT = 64 * 1024


class CheckpointError(WsupError, ValueError):
    """A checkpoint that can't be kept, or isn't of the type that was asked for."""


class Desk:
    """Where the notes of this process go; there is one while it runs jobs."""

    def __init__(self, slate: Slate, send: Callable[[bytes], None]) -> None:
        self.slate = slate
        #: Into the ring of results, from whichever thread.
        self.send = send
        self._pid = os.getpid()

    @property
    def is_ours(self) -> bool:
        """False in a process that a task has forked: what it says would mix with ours."""
        return os.getpid() == self._pid


class Desks:
    """The desk of this process, once it has one."""

    current: Desk | None = None


class Notes:
    """The notes of one attempt; made with its first one."""

    def __init__(self, job: "CurrentJob", claim: int, place: int | None) -> None:
        """`place`: of the slate, if there is one that is this job's alone."""
        self._job = job
        self._claim = claim
        self._place = place
        #: A job's threads may say something at once; and a destructor amid that, in the same one.
        self._lock = threading.RLock()
        self._fraction: float | None = None
        self._message = ""
        self._checkpoint: bytes | None = None
        self._is_open = True
        self._has_said = False
        #: What it writes, if that is captured.
        self.lines: Lines | None = None

    def progress(self, fraction: float, message: str) -> None:
        with self._lock:
            self._fraction = fraction
            self._message = shortened(storable(message), MESSAGE_CHARS)
            self._write()

    def keep(self, checkpoint: bytes) -> None:
        with self._lock:
            self._checkpoint = checkpoint
            self._write()

    def log(self, line: bytes) -> None:
        """Send a line, as `wire.Logged` has it."""
        desk = Desks.current
        if desk is not None and self._is_open and desk.is_ours:
            job = self._job
            desk.send(wire.encode(wire.Logged(self._claim, job.id, job.attempt, line)))

    def close(self) -> None:
        """The attempt is over: its last word."""
        if self.lines is not None:
            self.lines.end()
        desk = Desks.current
        if desk is not None and self._has_said and desk.is_ours:
            desk.send(self._encoded())
        self._is_open = False

    @property
    def is_open(self) -> bool:
        """Is the attempt still running?"""
        return self._is_open

    def _write(self) -> None:
        desk = Desks.current
        if desk is not None and self._is_open and desk.is_ours:
            if self._place is None:
                desk.send(self._encoded())
            else:
                self._has_said = True
                desk.slate.write(self._place, self._encoded())

    def _encoded(self) -> bytes:
        job = self._job
        return wire.encode(
            wire.Note(
                self._claim, job.id, job.attempt, self._fraction, self._message, self._checkpoint
            )
        )


def encode_checkpoint(value: object) -> bytes:
    """`value` as JSON. Raises CheckpointError."""
    try:
        data = msgspec.json.encode(value)
        if b"null" in data:  # as which msgspec writes NaN and the infinities, too
            json.dumps(msgspec.to_builtins(value), allow_nan=False)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise CheckpointError(
            f"checkpoint: JSON can't carry it: {error}; keep numbers, texts, lists, dicts"
        ) from None
    if len(data) > LARGEST_CHECKPOINT:
        raise CheckpointError(
            f"checkpoint: it takes {len(data):,} bytes of JSON, the limit is "
            f"{LARGEST_CHECKPOINT:,}; store it elsewhere and keep its key"
        )
    return data


def decode_checkpoint(data: str | bytes, kind: Any) -> Any:
    """A checkpoint as a value of type `kind`. Raises CheckpointError."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, TypeError) as error:
        raise CheckpointError(
            f"checkpoint: {data!r:.60} is no {getattr(kind, '__name__', kind)}: {error}"
        ) from None
