"""What a supervisor has to say of jobs it holds, as the columns that `wsup.settle` takes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import psycopg

from .arrays import PackedArray, bigints, booleans, integers, reals, smallints, texts
from .bounds import Attempt, Bigint, Real, Smallint, State

SUCCEEDED, FAILED, CANCELLED, EXPIRED = 1, 2, 3, 4


class Over(NamedTuple):
    """The job has ended. The fields are the columns of `over_*`, in their order."""

    claim: Bigint
    job: Bigint
    attempt: Attempt
    state: State
    seconds: Real
    subworker: Smallint
    #: JSON; None for null.
    result: bytes | None = None
    #: Of a cancellation, or an expiry.
    reason: str | None = None


class Back(NamedTuple):
    """The job runs again at the same attempt: after `delay` seconds, or at once (None)."""

    claim: Bigint
    job: Bigint
    attempt: Attempt
    delay: Real | None


class Failure(NamedTuple):
    """The attempt has failed; without `retry_after` (seconds) the job has, too."""

    claim: Bigint
    job: Bigint
    attempt: Attempt
    subworker: Smallint
    type: str
    message: str
    traceback: str | None
    seconds: Real
    retry_after: Real | None


Entry: TypeAlias = Over | Back | Failure


def size(entry: Entry) -> int:
    """Bytes (or characters) that an entry brings with it."""
    if isinstance(entry, Over):
        return len(entry.result) if entry.result else 0
    if isinstance(entry, Failure):
        return len(entry.message) + len(entry.traceback or "")
    return 0


def refusal(entry: Entry, error: psycopg.Error) -> Failure:
    """The failure that an entry turns into when the database would not store it."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    subworker = -1 if isinstance(entry, Back) else entry.subworker
    seconds = 0.0 if isinstance(entry, Back) else entry.seconds
    return Failure(
        entry.claim, entry.job, entry.attempt, subworker, "ResultRefused",
        f"the database would not store what this attempt gave: {reason}", None, seconds, None,
    )  # fmt: skip


def columns(
    supervisor: int, entries: Sequence[Entry], holders: Mapping[int, int] | None = None
) -> list[int | PackedArray]:
    """The parameters of `wsup.settle`, in its order; the last one only with `holders`: whose each
    claim is."""
    over = [entry for entry in entries if entry.__class__ is Over]
    back: list[Back] = []
    fail: list[Failure] = []
    if len(over) < len(entries):
        back = [entry for entry in entries if isinstance(entry, Back)]
        fail = [entry for entry in entries if isinstance(entry, Failure)]
        for e in fail:
            if e.retry_after is None:
                over.append(Over(e.claim, e.job, e.attempt, FAILED, e.seconds, e.subworker))
            else:
                back.append(Back(e.claim, e.job, e.attempt + 1, e.retry_after))
    o = _transposed(over, 8)
    b = _transposed(back, 4)
    f = _transposed(fail, 9)
    whose = [] if holders is None else [integers([holders[c] for c in (*o[0], *b[0])])]
    return [
        supervisor,
        bigints(o[0]), bigints(o[1]), smallints(o[2]), smallints(o[3]),
        reals(o[4]), smallints(o[5]), texts(o[6]), texts(o[7]),
        bigints(b[0]), bigints(b[1]), smallints(b[2]), reals(b[3]),
        bigints(f[0]), bigints(f[1]), smallints(f[2]), smallints(f[3]),
        booleans([False] * len(fail)), texts(f[4]), texts(f[5]), texts(f[6]), *whose,
    ]  # fmt: skip


def _transposed(rows: Sequence[tuple[Any, ...]], width: int) -> Sequence[tuple[Any, ...]]:
    return list(zip(*rows, strict=True)) or [()] * width
