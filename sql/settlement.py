"""What a supervisor has to say of jobs it holds, as the columns that `wsup.settle` takes."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import psycopg

from .arrays import PackedArray, bigints, booleans, reals, smallints, texts

_SUCCEEDED, _FAILED, _CANCELLED = 1, 2, 3


class Ended(msgspec.Struct, frozen=True, gc=False):
    """The job is over: `result` as JSON (None for null), or the reason of a cancellation."""

    claim: int
    job: int
    attempt: int
    seconds: float
    result: bytes | None = None
    cancelled: str | None = None


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """The attempt has failed; without `retry_after` (seconds) the job has, too."""

    claim: int
    job: int
    attempt: int
    seconds: float
    retry_after: float | None
    type: str
    message: str
    traceback: str | None


class PutOff(msgspec.Struct, frozen=True, gc=False):
    """The job runs again at the same attempt: after `delay` seconds, or at once (None)."""

    claim: int
    job: int
    attempt: int
    delay: float | None


class Entry(NamedTuple):
    """A line of a settlement, and the subworker that it comes from."""

    said: Ended | Refusal | PutOff
    subworker: int

    def size(self) -> int:
        """Bytes (or characters) that it brings with it."""
        said = self.said
        if isinstance(said, Ended):
            return len(said.result) if said.result else 0
        if isinstance(said, Refusal):
            return len(said.message) + len(said.traceback or "")
        return 0


def refusal(entry: Entry, error: psycopg.Error) -> Refusal:
    """The failure that a result turns into when the database would not store it."""
    said = entry.said
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return Refusal(
        said.claim, said.job, said.attempt, getattr(said, "seconds", 0.0), None,
        "ResultRefused", f"the database would not store what this attempt gave: {reason}", None,
    )  # fmt: skip


def columns(supervisor: int, entries: Sequence[Entry]) -> list[int | PackedArray]:
    """The parameters of `wsup.settle`, in its order."""
    over: list[tuple[int, int, int, int, float, int, bytes | None, str | None]] = []
    back: list[tuple[int, int, int, float | None]] = []
    fail: list[tuple[int, int, int, int, str, str, str | None]] = []
    for said, subworker in entries:
        if isinstance(said, Ended):
            state = _SUCCEEDED if said.cancelled is None else _CANCELLED
            over.append((
                said.claim, said.job, said.attempt, state, said.seconds, subworker,
                said.result, said.cancelled,
            ))  # fmt: skip
        elif isinstance(said, PutOff):
            back.append((said.claim, said.job, said.attempt, said.delay))
        else:
            fail.append((
                said.claim, said.job, said.attempt, subworker, said.type, said.message,
                said.traceback,
            ))  # fmt: skip
            if said.retry_after is None:
                over.append((
                    said.claim, said.job, said.attempt, _FAILED, said.seconds, subworker,
                    None, None,
                ))  # fmt: skip
            else:
                back.append((said.claim, said.job, said.attempt + 1, said.retry_after))
    o = list(zip(*over, strict=True)) or [()] * 8
    b = list(zip(*back, strict=True)) or [()] * 4
    f = list(zip(*fail, strict=True)) or [()] * 7
    return [
        supervisor,
        bigints(o[0]), bigints(o[1]), smallints(o[2]), smallints(o[3]),
        reals(o[4]), smallints(o[5]), texts(o[6]), texts(o[7]),
        bigints(b[0]), bigints(b[1]), smallints(b[2]), reals(b[3]),
        bigints(f[0]), bigints(f[1]), smallints(f[2]), smallints(f[3]),
        booleans([False] * len(fail)), texts(f[4]), texts(f[5]), texts(f[6]),
    ]  # fmt: skip
